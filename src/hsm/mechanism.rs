//! Which wrap a token can do: asked, and then tried on throwaway keys, because a mechanism's number
//! does not say how it pads.

use cryptoki::session::Session;
use cryptoki_sys::*;
use getrandom::SysRng;

use crate::{
    Hsm,
    attribute::{Attribute, flag, mechanism_name, number},
    object::public_key,
    packed::Call,
    public_key::PublicKey,
    raw::Object,
};
use record::{
    Error, Result,
    plan::Plan,
    probe::{needs::needs, profile::Profile},
    rule::Rule,
    terms::{KeyType, Mechanism, OaepHash, Side},
};

/// The size of throwaway RSA keys. OAEP hash and AES key wrap do not depend on it, and a smaller
/// key is made in a fraction of a second.
pub const THROWAWAY_BITS: u32 = 2048;
/// A throwaway target key.
pub const THROWAWAY: KeyType = KeyType::Rsa(THROWAWAY_BITS);

/// What RFC 5649 makes of an AES-256 key: 8 bytes more. PKCS#7 padding adds a block first (48).
const WRAPPED_AES_256: usize = 32 + 8;

/// A throwaway RSA key in software, for canaries.
pub(super) fn software_key() -> Result<rsa::PrivateKey> {
    rsa::PrivateKey::new(&mut SysRng, THROWAWAY_BITS as usize).map_err(|error| {
        Error::failed(
            format!("no throwaway RSA key could be made: {error}"),
            "restart the machine and try again",
        )
    })
}

/// The public half of a throwaway key, in the form that a token takes.
pub(super) fn software_public(key: &rsa::PrivateKey) -> Result<PublicKey> {
    use rsa::traits::PublicKeyParts;
    PublicKey::of_parts(&key.n_bytes(), &key.e_bytes())
        .ok_or_else(|| Error::defect("the throwaway RSA key does not encode"))
}

/// The KEK's public half as a session object that wraps and does nothing else.
pub(super) fn wrapping_public(key: &PublicKey) -> Vec<Attribute> {
    public_key(key, false, &[flag(CKA_WRAP, true)])
}

/// The ephemeral AES-256 key of a composite wrap (design, section 4.3): a session object, readable
/// by nobody, that wraps one key and is wrapped once.
pub(super) fn ephemeral_aes() -> Vec<Attribute> {
    vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        number(CKA_VALUE_LEN, 32),
        flag(CKA_TOKEN, false),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, true),
        flag(CKA_WRAP, true),
        flag(CKA_UNWRAP, false),
        flag(CKA_ENCRYPT, false),
        flag(CKA_DECRYPT, false),
        flag(CKA_SIGN, false),
        flag(CKA_VERIFY, false),
        flag(CKA_DERIVE, false),
    ]
}

/// The other of the two hashes.
pub(super) fn other(oaep: OaepHash) -> OaepHash {
    match oaep {
        OaepHash::Sha256 => OaepHash::Sha1,
        OaepHash::Sha1 => OaepHash::Sha256,
    }
}

/// How a token wraps and unwraps, once it was seen that it can.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// CKM_RSA_AES_KEY_WRAP: one call, in which no AES key is seen.
    SingleShot(OaepHash),
    /// RSA-OAEP of an AES key, and with that the token's RFC 5649 mechanism.
    Composite {
        /// The hash of RSA-OAEP.
        oaep: OaepHash,
        /// The mechanism that was seen to be RFC 5649.
        key_wrap: Call,
    },
}

impl Way {
    /// The same with another hash.
    pub fn with_oaep(self, oaep: OaepHash) -> Self {
        match self {
            Way::SingleShot(_) => Way::SingleShot(oaep),
            Way::Composite { key_wrap, .. } => Way::Composite { oaep, key_wrap },
        }
    }
}

impl Hsm<'_> {
    /// Refuses by name what this token lacks for its side of the plan: a mechanism,
    /// CKM_RSA_AES_KEY_WRAP in single-shot, RFC 5649 in composite. What a wrap or unwrap really
    /// does, the canaries show.
    ///
    /// # Errors
    /// `HSM-MECHANISM`, `WRAP-SINGLE-SHOT`, `WRAP-KWP`; [`Error::Hsm`] where the token fails
    /// otherwise.
    pub fn require(&self, side: Side, plan: &Plan) -> Result<()> {
        for need in needs(side, plan) {
            if self.raw().mechanism(self.slot.into(), need.id.0)?.is_none() {
                return Err(Rule::HsmMechanism.refuse(
                    format!("{} has no {} ({}), which {}", self.name(), need.name, need.id, need.purpose),
                    "a token that has it",
                    "allow the mechanism by the HSM's policy, or use a token that has it; `probe` shows what a token has",
                ));
            }
        }
        let transfer = &plan.transfer;
        if plan.way == record::terms::TransferRoute::Born {
            return Ok(());
        }
        let session = self.session()?;
        self.way(&session, transfer.mechanism, transfer.oaep_hash).map(drop)
    }

    /// The calls that make the plan's wrap on this token.
    ///
    /// # Errors
    /// `WRAP-SINGLE-SHOT` where the token has no CKM_RSA_AES_KEY_WRAP, `WRAP-KWP` where it has no
    /// RFC 5649.
    pub(super) fn way(
        &self,
        session: &Session,
        mechanism: Mechanism,
        oaep: OaepHash,
    ) -> Result<Way> {
        if mechanism == Mechanism::Composite {
            let key_wrap = self.key_wrap(session)?;
            return Ok(Way::Composite { oaep, key_wrap });
        }
        if self.has(CKM_RSA_AES_KEY_WRAP)? {
            return Ok(Way::SingleShot(oaep));
        }
        Err(Rule::WrapSingleShot.refuse(
            format!("{} has no CKM_RSA_AES_KEY_WRAP (0x1054)", self.name()),
            "a token with CKM_RSA_AES_KEY_WRAP that wraps or unwraps",
            "use a token that has it, or agree on a new plan with mechanism = \"composite\" and the waiver WRAP-COMPOSITE",
        ))
    }

    pub(super) fn has(&self, kind: CK_MECHANISM_TYPE) -> Result<bool> {
        self.can(kind, CKF_WRAP | CKF_UNWRAP)
    }

    /// Whether the token lists the mechanism with one of these flags.
    pub(super) fn can(&self, kind: CK_MECHANISM_TYPE, flags: CK_FLAGS) -> Result<bool> {
        let info = self.raw().mechanism(self.slot.into(), kind)?;
        Ok(info.is_some_and(|info| info.flags & flags != 0))
    }

    /// The token's RFC 5649 mechanism. CKM_AES_KEY_WRAP_KWP (0x210B) is that by definition; what
    /// CKM_AES_KEY_WRAP_PAD (0x210A) is differs among vendors, and some have numbers of their own.
    /// Each is tried: RFC 5649 makes 40 bytes of an AES-256 key.
    ///
    /// # Errors
    /// `WRAP-KWP` where the token has none, or pads otherwise.
    pub(super) fn key_wrap(&self, session: &Session) -> Result<Call> {
        let mut observed = Vec::new();
        for kind in self.key_wraps() {
            match self.wrapped_aes_length(session, kind)? {
                Ok(WRAPPED_AES_256) => return Ok(Call::Plain(kind)),
                Ok(length) => observed.push(format!(
                    "{} makes {length} bytes of an AES-256 key",
                    mechanism_name(kind)
                )),
                Err(error) => observed.push(format!("{}: {error}", mechanism_name(kind))),
            }
        }
        Err(Rule::WrapKwp.refuse(
            format!("{}: {}", self.name(), observed.join("; ")),
            "a mechanism that makes 40 bytes of an AES-256 key, as RFC 5649 does",
            "use a token with CKM_AES_KEY_WRAP_KWP; Keyferry never falls back to another padding",
        ))
    }

    /// What may be RFC 5649 on this token.
    pub(super) fn key_wraps(&self) -> impl Iterator<Item = CK_MECHANISM_TYPE> {
        let own = Profile::of(&self.identity).known().key_wraps;
        [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD].into_iter().chain(own.iter().map(|id| id.0))
    }

    /// How many bytes the mechanism makes of an AES-256 key, or why it makes none.
    pub(super) fn wrapped_aes_length(
        &self,
        session: &Session,
        kind: CK_MECHANISM_TYPE,
    ) -> Result<std::result::Result<usize, String>> {
        if !self.has(kind)? {
            return Ok(Err("the token has none".to_owned()));
        }
        let make = || self.raw().generate_aes(session, &ephemeral_aes());
        let wrapped = make().and_then(|with| {
            let wrapped = make().and_then(|key| {
                let wrapped = self.raw().wrap(session, Call::Plain(kind), with, key);
                self.discard(session, &[key]);
                wrapped
            });
            self.discard(session, &[with]);
            wrapped
        });
        Ok(wrapped.map(|wrapped| wrapped.len()).map_err(|error| error.to_string()))
    }

    /// Tells a token that lacks the plan's OAEP hash from one that fails: does the same with the
    /// other hash work?
    pub(super) fn explain_oaep(
        &self,
        oaep: OaepHash,
        error: Error,
        works: impl Fn(OaepHash) -> bool,
    ) -> Error {
        if works(oaep) || !works(other(oaep)) {
            return error;
        }
        hash_refusal(&self.name(), oaep, "cannot do it, but can do the other")
    }

    /// Destroys session objects; a failure is of no consequence, because they end with their
    /// session.
    pub(super) fn discard(&self, session: &Session, objects: &[Object]) {
        for object in objects {
            let _ = self.raw().destroy(session, *object);
        }
    }
}

/// The refusal of a token that does not use the plan's OAEP hash.
pub(super) fn hash_refusal(token: &str, oaep: OaepHash, found: &str) -> Error {
    Rule::WrapOaepHash.refuse(
        format!("{token} {found} (of SHA-256 and SHA-1)"),
        format!("RSA-OAEP with {oaep}, as the plan says"),
        "use a token that can, or agree on a new plan with the other oaep_hash (sha1 needs the waiver WRAP-OAEP-SHA1)",
    )
}
