//! The seal secret S, and how it is dealt.

use hkdf::Hkdf;
use sha2::Sha256;
use sharks::Sharks;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::share::{Deal, Share};
use record::encoding::{Hash, PackageId, enc, random};
use record::rule::Rule;
use record::{Error, Result};

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
        expand(ikm.as_slice(), package_id, &info).map(Secret)
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
        expand(&self.0, package_id, info).map(Zeroizing::new)
    }
}

fn expand(ikm: &[u8], package_id: &PackageId, info: &[u8]) -> Result<[u8; 32]> {
    let mut out = [0; 32];
    // HKDF fails only for outputs over 255 hashes; 32 bytes are one.
    let done = Hkdf::<Sha256>::new(Some(&package_id.0), ikm).expand(info, &mut out);
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
        shares.push(Share::new(deal, x, y, random()?));
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
pub(super) fn recombine(shares: &[&Share], threshold: u8) -> Result<Secret> {
    let mut points = Vec::new();
    for share in shares {
        let mut bytes = Zeroizing::new([share.x(); 33]);
        bytes[1..].copy_from_slice(share.y());
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
            let mut y = *shares[usize::from(x) - 1].y();
            y[31] ^= 1;
            let spoilt = Share::new(Deal { package_id, threshold: 2, count: 4 }, x, &y, [0; 16]);
            let fits = std::mem::replace(&mut shares[usize::from(x) - 1], spoilt);
            assert!(check_every_quorum(&one, &shares, 2).is_err(), "{x}");
            shares[usize::from(x) - 1] = fits;
        }
    }

    const KNOWN: &str = "cb6258de202ddfbb2e3b84c212bc19d4376dd0f0e024342fb83e160c5a625e1c";
}
