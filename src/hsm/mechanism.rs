//! How a token can wrap: asked, and then tried on throwaway keys, because a mechanism's number does
//! not say how it pads.

use cryptoki_sys::*;
use getrandom::SysRng;

use crate::attribute::mechanism_name;
use crate::raw::Object;
use crate::table::ephemeral_aes;
use crate::{Hsm, TokenMechanism, TokenSession};
use ::probe::checks;
use ::probe::needs::needs;
use ::probe::profile::Profile;
use record::{Error, KeyType, Mechanism, OaepHash, Plan, Result, Rule, Side, TransferRoute};

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

/// By which calls a token wraps and unwraps, once it was seen that it can.
#[derive(Clone, Copy)]
pub(super) struct WrapMethod {
    /// The hash of RSA-OAEP.
    pub oaep: OaepHash,
    /// Composite: the mechanism that was seen to be RFC 5649, of an AES key that RSA-OAEP wraps.
    /// None is single-shot: CKM_RSA_AES_KEY_WRAP, one call, in which no AES key is seen.
    pub key_wrap: Option<TokenMechanism>,
}

impl WrapMethod {
    /// The same under this half of a KEK.
    pub fn under(self, kek: Object) -> KekUse {
        KekUse { kek, method: self }
    }

    /// The same with the other of the two hashes.
    pub fn with_other_oaep(self) -> Self {
        let oaep = match self.oaep {
            OaepHash::Sha256 => OaepHash::Sha1,
            OaepHash::Sha1 => OaepHash::Sha256,
        };
        WrapMethod { oaep, ..self }
    }
}

/// What keys are wrapped or unwrapped under, and by which calls.
#[derive(Clone, Copy)]
pub(super) struct KekUse {
    /// The public half to wrap, the private one to unwrap.
    pub kek: Object,
    pub method: WrapMethod,
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
            let listed = self.mechanism(need.id.0)?.is_some();
            checks::listed(&need, &self.name(), listed)?;
        }
        if plan.way == TransferRoute::Born {
            return Ok(());
        }
        let (mechanism, oaep) = (plan.transfer.mechanism, plan.transfer.oaep_hash);
        let session = self.session()?;
        let able = match side {
            Side::Tenant => session.wrap_method(mechanism, oaep).map(drop),
            Side::Hoster => session.unwrap_methods(mechanism, oaep).map(drop),
        };
        able.map_err(|error| self.advised(error))
    }

    /// Whether the token wraps or unwraps by this mechanism.
    pub(super) fn wraps_by(&self, kind: CK_MECHANISM_TYPE) -> Result<bool> {
        self.can(kind, CKF_WRAP | CKF_UNWRAP)
    }

    /// Whether the token lists the mechanism with one of these flags.
    pub(super) fn can(&self, kind: CK_MECHANISM_TYPE, flags: CK_FLAGS) -> Result<bool> {
        Ok(self.mechanism(kind)?.is_some_and(|info| info.flags & flags != 0))
    }

    /// What may be RFC 5649 on this token.
    pub(super) fn key_wraps(&self) -> impl Iterator<Item = CK_MECHANISM_TYPE> {
        let own = Profile::of(self.identity()).known().key_wraps;
        [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD].into_iter().chain(own.iter().map(|id| id.0))
    }

    /// The refusal of a token that does not use the plan's OAEP hash.
    pub(super) fn oaep_hash_error(&self, oaep: OaepHash, found: &str) -> Error {
        Rule::WrapOaepHash.refuse(
            format!("{} {found} (of SHA-256 and SHA-1)", self.name()),
            format!("RSA-OAEP with {oaep}, as the plan says"),
            "use a token that can, or agree on a new plan with the other oaep_hash (sha1 needs the waiver WRAP-OAEP-SHA1)",
        )
    }
}

impl TokenSession<'_> {
    /// The calls that make the plan's wrap on this token.
    ///
    /// # Errors
    /// `WRAP-SINGLE-SHOT` where the token has no CKM_RSA_AES_KEY_WRAP, `WRAP-KWP` where it has no
    /// RFC 5649.
    pub fn wrap_method(&self, mechanism: Mechanism, oaep: OaepHash) -> Result<WrapMethod> {
        if mechanism == Mechanism::Composite {
            return Ok(WrapMethod { oaep, key_wrap: Some(self.key_wrap()?) });
        }
        if self.hsm.wraps_by(CKM_RSA_AES_KEY_WRAP)? {
            return Ok(WrapMethod { oaep, key_wrap: None });
        }
        Err(Rule::WrapSingleShot.refuse(
            format!("{} has no CKM_RSA_AES_KEY_WRAP (0x1054)", self.hsm.name()),
            "a token with CKM_RSA_AES_KEY_WRAP that wraps or unwraps",
            "use a token that has it, or agree on a new plan with mechanism = \"composite\" and the waiver WRAP-COMPOSITE",
        ))
    }

    /// The calls by which the token may unwrap; which of them does, an unwrap says. A hoster's token
    /// need not wrap anything, nor have any key that could be wrapped.
    ///
    /// # Errors
    /// As [`TokenSession::wrap_method`].
    pub fn unwrap_methods(&self, mechanism: Mechanism, oaep: OaepHash) -> Result<Vec<WrapMethod>> {
        if mechanism == Mechanism::SingleShot {
            return self.wrap_method(mechanism, oaep).map(|method| vec![method]);
        }
        if let seen @ Some(_) = self.hsm.seen().unwraps_by {
            return Ok(vec![WrapMethod { oaep, key_wrap: seen }]);
        }
        let mut methods = Vec::new();
        for kind in self.hsm.key_wraps() {
            if self.hsm.can(kind, CKF_UNWRAP)? {
                methods.push(WrapMethod { oaep, key_wrap: Some(TokenMechanism::Plain(kind)) });
            }
        }
        match methods.is_empty() {
            false => Ok(methods),
            true => Err(self.key_wrap_error("it has none that unwraps")),
        }
    }

    fn key_wrap_error(&self, found: &str) -> Error {
        Rule::WrapKwp.refuse(
            format!("{}: {found}", self.hsm.name()),
            "a mechanism that makes 40 bytes of an AES-256 key, as RFC 5649 does",
            "use a token with CKM_AES_KEY_WRAP_KWP; Keyferry never falls back to another padding",
        )
    }

    /// The token's RFC 5649 mechanism. CKM_AES_KEY_WRAP_KWP (0x210B) is that by definition; what
    /// CKM_AES_KEY_WRAP_PAD (0x210A) is differs among vendors, and some have numbers of their own.
    /// Each is tried: RFC 5649 makes 40 bytes of an AES-256 key.
    ///
    /// # Errors
    /// `WRAP-KWP` where the token has none, or pads otherwise.
    pub fn key_wrap(&self) -> Result<TokenMechanism> {
        if let Some(seen) = self.hsm.seen().wraps_by {
            return Ok(seen);
        }
        let mut observed = Vec::new();
        for kind in self.hsm.key_wraps() {
            let name = mechanism_name(kind);
            observed.push(match self.wrapped_aes_length(kind)? {
                Ok(WRAPPED_AES_256) => {
                    let seen = TokenMechanism::Plain(kind);
                    self.hsm.seen().wraps_by = Some(seen);
                    return Ok(seen);
                }
                Ok(length) => format!("{name} makes {length} bytes of an AES-256 key"),
                Err(error) => format!("{name}: {error}"),
            });
        }
        Err(self.key_wrap_error(&observed.join("; ")))
    }

    /// How many bytes the mechanism makes of an AES-256 key, or why it makes none.
    pub fn wrapped_aes_length(
        &self,
        kind: CK_MECHANISM_TYPE,
    ) -> Result<std::result::Result<usize, String>> {
        if !self.hsm.wraps_by(kind)? {
            return Ok(Err("the token has none".to_owned()));
        }
        let make = || self.generate_aes(&ephemeral_aes().template());
        let wrapped = make().and_then(|with| {
            let wrapped = make().and_then(|key| {
                let wrapped = self.wrap(TokenMechanism::Plain(kind).with(with), key);
                self.discard(&[key]);
                wrapped
            });
            self.discard(&[with]);
            wrapped
        });
        Ok(wrapped.map(|wrapped| wrapped.len()).map_err(|error| error.to_string()))
    }
}
