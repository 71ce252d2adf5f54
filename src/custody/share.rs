//! Shares of the seal secret: split, committed to, and taken back only as the ones that were dealt
//! (design, section 4.4). The library that splits neither rejects x = 0, duplicates or too low a
//! threshold, nor notices a flipped bit; the types here do.

use data_encoding::BASE32_NOPAD;
use hkdf::Hkdf;
use sha2::Sha256;
use sharks::Sharks;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use record::encoding::{enc, hash, random};
use record::share::{CODE_WORDS, ShareListing, confirm_hash};
use record::{Error, Fixed, Hash, PackageId, Program, Result, Rule, list_or};

/// The length of a record, in bytes: version, package id, M, N, x, y, salt.
pub const RECORD: usize = 68;
/// The length of a record's text, in characters of base32 (RFC 4648, section 6) without padding.
const TEXT: usize = 109;

const VERSION: u8 = 1;

/// One deal of the seal secret: of which export, and M of N.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Deal {
    /// The export that it belongs to.
    pub package_id: PackageId,
    /// M.
    pub threshold: u8,
    /// N.
    pub count: u8,
}

impl Deal {
    /// Whether there can be such a deal.
    fn is_possible(&self) -> bool {
        (2..=self.count).contains(&self.threshold) && self.count <= 16
    }
}

/// One of N parts of the seal secret. Not yet known to be one that was dealt.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    #[zeroize(skip)]
    deal: Deal,
    x: u8,
    y: [u8; 32],
    salt: [u8; 16],
}

impl Share {
    /// Reads a record of exactly 68 bytes.
    ///
    /// # Errors
    /// `SHARE-FORMAT`.
    pub fn from_record(record: &[u8]) -> Result<Self> {
        let record: &[u8; RECORD] =
            record.try_into().map_err(|_| format_error("another length than 68 bytes"))?;
        if record[0] != VERSION {
            return Err(format_error("another version than 1"));
        }
        let mut package_id = Fixed([0; 16]);
        package_id.0.copy_from_slice(&record[1..17]);
        let deal = Deal { package_id, threshold: record[17], count: record[18] };
        let x = record[19];
        if !deal.is_possible() || !(1..=deal.count).contains(&x) {
            return Err(format_error(
                "a threshold, number of shares or number of its own that cannot be",
            ));
        }
        let mut share = Share { deal, x, y: [0; 32], salt: [0; 16] };
        share.y.copy_from_slice(&record[20..52]);
        share.salt.copy_from_slice(&record[52..]);
        Ok(share)
    }

    /// Reads a record's text, exactly as it is written: 109 upper-case characters of base32.
    ///
    /// # Errors
    /// `SHARE-FORMAT`.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let decoded = BASE32_NOPAD.decode(text).map(Zeroizing::new);
        Share::from_record(
            &decoded.map_err(|_| format_error("text that is not base32 of 109 characters"))?,
        )
    }

    /// The record, 68 bytes.
    pub fn record(&self) -> Zeroizing<[u8; RECORD]> {
        let mut record = Zeroizing::new([0; RECORD]);
        record[0] = VERSION;
        record[1..17].copy_from_slice(&self.deal.package_id.0);
        record[17..20].copy_from_slice(&[self.deal.threshold, self.deal.count, self.x]);
        record[20..52].copy_from_slice(&self.y);
        record[52..].copy_from_slice(&self.salt);
        record
    }

    /// The record's text, 109 characters.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT));
        BASE32_NOPAD.encode_append(self.record().as_slice(), &mut text);
        text
    }

    /// The deal that it is of.
    pub fn deal(&self) -> Deal {
        self.deal
    }

    /// Which share it is, from 1.
    pub fn x(&self) -> u8 {
        self.x
    }

    fn hash(&self, label: &std::ffi::CStr) -> Hash {
        hash(
            label,
            &[&self.deal.package_id.0, &u32::from(self.x).to_be_bytes(), &self.salt, &self.y],
        )
    }

    /// What the package lists, so that a wrong share is known at once.
    pub fn commitment(&self) -> Hash {
        self.hash(c"keyferry/1 share")
    }

    /// What its holder reads out to show that it is the right one: 10 bytes, as PGP words. It says
    /// nothing of the share.
    pub fn code(&self) -> [u8; CODE_WORDS] {
        let mut code = [0; CODE_WORDS];
        code.copy_from_slice(&self.hash(c"keyferry/1 code").0[..CODE_WORDS]);
        code
    }

    /// What the package says of it; `file` is the hash of its age file.
    pub fn listing(&self, custodian: &str, file: Hash) -> ShareListing {
        ShareListing {
            custodian: custodian.to_owned(),
            x: self.x,
            commitment: self.commitment(),
            confirm: confirm_hash(&self.deal.package_id, self.x, &self.code()),
            file,
        }
    }
}

fn format_error(found: &str) -> Error {
    Rule::ShareFormat.refuse(
        found,
        "a share as it was dealt",
        "type or scan it again; check that it is a share of this ceremony",
    )
}

/// Shares on their way to a quorum; only those that were dealt are in it, each once.
pub struct Quorum<'a> {
    package_id: PackageId,
    threshold: u8,
    listings: &'a [ShareListing],
    /// What people call the custodian of an id.
    named: &'a dyn Fn(&str) -> String,
    shares: Vec<Share>,
}

impl<'a> Quorum<'a> {
    /// Nobody has presented a share yet.
    pub fn new(
        package_id: PackageId,
        threshold: u8,
        listings: &'a [ShareListing],
        named: &'a dyn Fn(&str) -> String,
    ) -> Self {
        Quorum { package_id, threshold, listings, named, shares: Vec::new() }
    }

    /// Takes a share, and says whose it is.
    ///
    /// # Errors
    /// `SHARE-PACKAGE` for another export's, `SHARE-COMMITMENT` for one that was not dealt, naming
    /// the custodian whose place it takes, `SHARE-REPEATED` for one that is there already.
    pub fn present(&mut self, share: Share) -> Result<String> {
        let deal = share.deal();
        Rule::SharePackage.ensure(
            deal.package_id == self.package_id,
            format!("a share of the package id {}", deal.package_id),
            format!("of the package id {}", self.package_id),
            "look for the share of this export; one of an older attempt or another ceremony serves for nothing",
        )?;
        let listing = self.listings.iter().find(|listing| listing.x == share.x());
        let fits =
            usize::from(deal.count) == self.listings.len() && deal.threshold == self.threshold;
        let whose = listing.map_or("nobody".into(), |listing| (self.named)(&listing.custodian));
        let dealt = listing.filter(|listing| fits && listing.commitment == share.commitment());
        let listing = dealt.ok_or_else(|| {
            Rule::ShareCommitment.refuse(
                format!("share {} of {} is not the one that was dealt; it takes the place of {whose}'s", share.x(), deal.count),
                "the share that the package commits to",
                format!("{whose} types or scans it again; a damaged one is written again on the tenant's machine, by `{}`", Program::Tenant.line("share reissue CUSTODIAN")),
            )
        })?;
        Rule::ShareRepeated.ensure(
            self.shares.iter().all(|present| present.x() != share.x()),
            format!("the share of {whose} again"),
            "each custodian's share once",
            "let another custodian present theirs",
        )?;
        self.shares.push(share);
        Ok(listing.custodian.clone())
    }

    /// How many shares are still needed.
    pub fn missing(&self) -> usize {
        usize::from(self.threshold).saturating_sub(self.shares.len())
    }

    /// The secret.
    ///
    /// # Errors
    /// `SHARE-QUORUM`, saying who has given their share and who could still give theirs.
    pub fn recombine(self) -> Result<Secret> {
        let names = |given: bool| {
            let has_given = |x| self.shares.iter().any(|share| share.x() == x);
            let some = self.listings.iter().filter(|listing| has_given(listing.x) == given);
            list_or("nobody", some.map(|listing| (self.named)(&listing.custodian)))
        };
        let (count, needed, missing) = (self.shares.len(), self.threshold, self.missing());
        Rule::ShareQuorum.ensure(
            missing == 0,
            format!("{count} of the shares, given by {}", names(true)),
            format!("{needed} shares"),
            format!("{missing} more of: {}", names(false)),
        )?;
        recombine(&self.shares.iter().collect::<Vec<_>>(), needed)
    }
}

/// S, 32 bytes: what opens the seal of one export. It lives in memory only, and only while a step
/// runs.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A fresh secret from two generators, so that neither alone can foretell it (HKDF-SHA256, RFC
    /// 5869): `ikm = os ‖ hsm`, `salt = package_id`, `info = enc("keyferry/1 secret", plan_hash)`.
    ///
    /// # Errors
    /// [`Error::Failed`] where HKDF gives no key.
    pub fn derive(
        os: &[u8; 32],
        hsm: &[u8; 32],
        package_id: &PackageId,
        plan_hash: &Hash,
    ) -> Result<Self> {
        let mut ikm = Zeroizing::new([0; 64]);
        ikm[..32].copy_from_slice(os);
        ikm[32..].copy_from_slice(hsm);
        let info = enc(c"keyferry/1 secret", &[plan_hash.as_bytes()]);
        expand(ikm.as_slice(), package_id, &info).map(|secret| Secret(*secret))
    }

    /// A key that is derived from the secret.
    ///
    /// # Errors
    /// As [`Secret::derive`].
    pub(crate) fn expand(
        &self,
        package_id: &PackageId,
        info: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>> {
        expand(&self.0, package_id, info)
    }
}

fn expand(ikm: &[u8], package_id: &PackageId, info: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    // HKDF fails only for outputs over 255 hashes; 32 bytes are one.
    let done = Hkdf::<Sha256>::new(Some(&package_id.0), ikm).expand(info, out.as_mut_slice());
    done.map(|()| out).map_err(Error::defect)
}

/// Deals N shares, any M of which give the secret (Shamir, bytewise over GF(256), polynomial 0x11D,
/// the secret at 0). Every quorum of them is recombined and compared before any is handed out.
///
/// # Errors
/// `SHARE-DEAL`, [`Error::Failed`] without randomness.
pub fn deal(
    secret: &Secret,
    package_id: PackageId,
    threshold: u8,
    count: u8,
) -> Result<Vec<Share>> {
    let deal = Deal { package_id, threshold, count };
    if !deal.is_possible() {
        return Err(deal_error(format!("{threshold} of {count} shares")));
    }
    let mut shares = Vec::new();
    for (dealt, x) in Sharks(threshold).dealer(&secret.0).take(count.into()).zip(1..=count) {
        let bytes = Zeroizing::new(Vec::from(&dealt));
        let (Some(&found), Ok(y)) = (bytes.first(), <&[u8; 32]>::try_from(&bytes[1..])) else {
            return Err(deal_error("a share of another length"));
        };
        if found != x {
            return Err(deal_error(format!("share {found} in the place of {x}")));
        }
        shares.push(Share { deal, x, y: *y, salt: random()? });
    }
    check_every_quorum(secret, &shares, threshold)?;
    Ok(shares)
}

fn check_every_quorum(secret: &Secret, shares: &[Share], threshold: u8) -> Result<()> {
    for chosen in 0u32..1 << shares.len() {
        if chosen.count_ones() != u32::from(threshold) {
            continue;
        }
        let quorum = shares.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1);
        let quorum: Vec<&Share> = quorum.map(|(_, share)| share).collect();
        if recombine(&quorum, threshold)?.0 != secret.0 {
            return Err(deal_error("a quorum whose shares give another secret"));
        }
    }
    Ok(())
}

/// Recombines shares that are known to be distinct and enough.
fn recombine(shares: &[&Share], threshold: u8) -> Result<Secret> {
    let mut points = Vec::new();
    for share in shares {
        let mut bytes = Zeroizing::new([share.x(); 33]);
        bytes[1..].copy_from_slice(&share.y);
        points.push(sharks::Share::try_from(bytes.as_slice()).map_err(deal_error)?);
    }
    let whole = Sharks(threshold).recover(&points).map(Zeroizing::new).map_err(deal_error)?;
    let whole = <&[u8; 32]>::try_from(whole.as_slice());
    whole.map(|whole| Secret(*whole)).map_err(|_| deal_error("a secret of another length"))
}

fn deal_error(found: impl Into<String>) -> Error {
    Rule::ShareDeal.refuse(
        found,
        "shares of which every quorum gives the secret",
        "run the export again; nothing has left this machine",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::encoding::Fixed;

    #[test]
    fn the_secret_is_hkdf_sha256_as_designed() {
        // python3: hmac/hashlib HKDF with salt = bytes(range(16)), ikm = 32*01 + 32*02,
        // info = b"keyferry/1 secret\0" + (32).to_bytes(4, "big") + 32*b"\3"
        let package_id = Fixed(std::array::from_fn(|n| n as u8));
        let secret = Secret::derive(&[1; 32], &[2; 32], &package_id, &Hash([3; 32])).unwrap();
        assert_eq!(data_encoding::HEXLOWER.encode(&secret.0), KNOWN);
    }

    #[test]
    fn a_quorum_that_gives_another_secret_is_found_before_any_share_leaves() {
        let package_id = Fixed([7; 16]);
        let secret =
            |byte| Secret::derive(&[byte; 32], &[2; 32], &package_id, &Hash([3; 32])).unwrap();
        let (one, other) = (secret(1), secret(2));
        let mut shares = deal(&one, package_id, 2, 4).unwrap();
        check_every_quorum(&one, &shares, 2).unwrap();
        assert!(check_every_quorum(&other, &shares, 2).is_err());
        // One share of another deal spoils the quorums that it is in, the last one too.
        for x in 1..=4 {
            let mut y = shares[usize::from(x) - 1].y;
            y[31] ^= 1;
            let deal = Deal { package_id, threshold: 2, count: 4 };
            let spoilt = Share { deal, x, y, salt: [0; 16] };
            let fits = std::mem::replace(&mut shares[usize::from(x) - 1], spoilt);
            assert!(check_every_quorum(&one, &shares, 2).is_err(), "{x}");
            shares[usize::from(x) - 1] = fits;
        }
    }

    const KNOWN: &str = "cb6258de202ddfbb2e3b84c212bc19d4376dd0f0e024342fb83e160c5a625e1c";
}
