//! Challenges that only the holder of an encryption key can answer: one per place (design, section
//! 4.5).

use rsa::{Oaep, PublicKey, sha2::Sha256};
use sha1::Sha1;

use record::{
    Error, Result,
    encoding::{Blob, PackageId, random},
    plan::{KeyPlan, Plan},
    proof::{self, key_set::PlaceChallenge},
    spki,
    terms::{OaepHash, Role},
};

/// A fresh challenge per place, for an encryption key. Only the hash of its answer is kept.
///
/// # Errors
/// [`Error::Failed`] where the key is not RSA, or the system has no random numbers.
pub fn make(
    plan: &Plan,
    key: &KeyPlan,
    spki: &[u8],
    id: &PackageId,
) -> Result<Vec<PlaceChallenge>> {
    if key.role == Role::Signing {
        return Ok(Vec::new());
    }
    let public = spki::rsa(spki).map_err(|found| Error::failed(found, "make the key again"))?;
    let one = |place: String| {
        let challenge = zeroize::Zeroizing::new(random::<32>()?);
        let ids = (&plan.hash(), id);
        let answer = proof::answer(ids, &key.label, &place, challenge.as_slice());
        let hash = plan.transfer.oaep_hash;
        Ok(PlaceChallenge {
            place,
            ciphertext: Blob(encrypt(&public, hash, challenge.as_slice())?),
            expected: proof::expected(&answer),
        })
    };
    plan.places().into_iter().map(one).collect()
}

fn encrypt(public: &PublicKey, hash: OaepHash, message: &[u8]) -> Result<Vec<u8>> {
    let mut rng = getrandom::SysRng;
    let encrypted = match hash {
        OaepHash::Sha256 => public.encrypt(&mut rng, Oaep::<Sha256>::new(), message),
        OaepHash::Sha1 => public.encrypt(&mut rng, Oaep::<Sha1>::new(), message),
    };
    encrypted.map_err(|error| Error::defect(format!("RSA-OAEP: {error}")))
}
