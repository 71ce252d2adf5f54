//! Shares that come back: each checked against the package the moment it is presented.

use crate::share::secret::recombine;
use crate::share::{Secret, Share};
use record::Result;
use record::command::Program;
use record::encoding::PackageId;
use record::escape::escape;
use record::rule::Rule;
use record::share::ShareListing;

/// Shares on their way to a quorum; only those that were dealt are in it, each once.
pub struct Quorum<'a> {
    package_id: PackageId,
    threshold: u8,
    listings: &'a [ShareListing],
    shares: Vec<Share>,
}

impl<'a> Quorum<'a> {
    /// Nobody has presented a share yet.
    pub fn new(package_id: PackageId, threshold: u8, listings: &'a [ShareListing]) -> Self {
        Quorum { package_id, threshold, listings, shares: Vec::new() }
    }

    /// Takes a share, and says whose it is.
    ///
    /// # Errors
    /// `SHARE-PACKAGE` for another export's, `SHARE-COMMITMENT` for one that was not dealt, naming
    /// the custodian whose place it takes, `SHARE-REPEATED` for one that is there already.
    pub fn present(&mut self, share: Share) -> Result<String> {
        if share.deal().package_id != self.package_id {
            return Err(Rule::SharePackage.refuse(
                format!("a share of the package id {}", share.deal().package_id),
                format!("of the package id {}", self.package_id),
                "look for the share of this export; one of an older attempt or another ceremony serves for nothing",
            ));
        }
        let listing = self.listings.iter().find(|listing| listing.x == share.x());
        let deal = share.deal();
        let fits =
            usize::from(deal.count) == self.listings.len() && deal.threshold == self.threshold;
        let Some(listing) =
            listing.filter(|listing| fits && listing.commitment == share.commitment())
        else {
            let whose = listing.map_or("nobody".into(), |listing| escape(&listing.custodian));
            return Err(Rule::ShareCommitment.refuse(
                format!("share {} of {} is not the one that was dealt; it takes the place of {whose}'s", share.x(), deal.count),
                "the share that the package commits to",
                format!("{whose} types or scans it again; a damaged one is written again on the tenant's machine, by `{}`", Program::Tenant.line("share reissue CUSTODIAN")),
            ));
        };
        if self.shares.iter().any(|present| present.x() == share.x()) {
            return Err(Rule::ShareRepeated.refuse(
                format!("the share of {} again", escape(&listing.custodian)),
                "each custodian's share once",
                "let another custodian present theirs",
            ));
        }
        self.shares.push(share);
        Ok(listing.custodian.clone())
    }

    /// How many shares are still needed.
    pub fn missing(&self) -> usize {
        usize::from(self.threshold).saturating_sub(self.shares.len())
    }

    /// The secret, and who gave their shares for it.
    ///
    /// # Errors
    /// `SHARE-QUORUM`, saying who could still give theirs.
    pub fn recombine(self) -> Result<(Secret, Vec<String>)> {
        let is_present =
            |listing: &&ShareListing| self.shares.iter().any(|share| share.x() == listing.x);
        let (given, others): (Vec<_>, Vec<_>) = self.listings.iter().partition(is_present);
        let [given, others] = [given, others]
            .map(|some| some.iter().map(|one| one.custodian.clone()).collect::<Vec<_>>());
        if self.missing() > 0 {
            let (count, given) = (self.shares.len(), escape(&given.join(", ")));
            return Err(Rule::ShareQuorum.refuse(
                format!("{count} of {} shares ({given})", self.threshold),
                format!("{} shares", self.threshold),
                format!("{} more of: {}", self.missing(), escape(&others.join(", "))),
            ));
        }
        let shares: Vec<&Share> = self.shares.iter().collect();
        Ok((recombine(&shares, self.threshold)?, given))
    }
}
