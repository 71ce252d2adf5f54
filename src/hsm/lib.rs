//! One PKCS#11 token: how it is found, logged in to, and what Keyferry does with it.
//!
//! Everything that a module answers is a claim: attributes are read back in a session of their own
//! after each change, results are checked before they are used, and no return code is branched on
//! but those of C_Login.
//!
//! Reading order: this file, table, kek, target, wrap, hoster; below them attribute, object,
//! public_key, mechanism, layout, and raw, which holds every `unsafe`.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::path::Path;
use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

use cryptoki_sys::*;
use zeroize::Zeroizing;

use ::probe::profile::Profile;
pub use canary::THROWAWAY_LABEL;
pub use hoster::{CertifiedKey, HosterKey, ImportKey, ImportOrder, PublicObjects};
pub use inventory::Inventory;
pub use kek::{Kek, KekSpec};
use layout::TokenMechanism;
pub use mechanism::{THROWAWAY, THROWAWAY_BITS};
pub use parallel::MOST_SESSIONS;
pub use probe::{MAX_MODULE, Trial};
use raw::Session;
use record::{Error, Mechanism, Result, Rule, TokenIdentity};
use table::LeftOut;
pub use target::{TargetKey, TargetSpec};
pub use trust::{Officer, TrustedKek};
pub use wrap::WrapOrder;

mod answer;
mod attribute;
mod canary;
mod hoster;
mod inventory;
pub mod kek;
mod layout;
mod mechanism;
mod object;
mod parallel;
mod probe;
mod public_key;
mod raw;
mod table;
pub mod target;
#[cfg(test)]
mod tests;
mod trial;
mod trust;
mod unwrap;
mod wrap;

pub mod self_signed;
pub mod wrapped_key;

/// A PIN: erased when dropped, never shown.
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// A PIN as the person at the keyboard typed it.
    pub fn new(pin: Zeroizing<String>) -> Self {
        Pin(pin)
    }
}

/// A loaded and initialised PKCS#11 module. One per process at a time; finalised when dropped.
pub struct Module {
    raw: raw::Functions,
    // Tokens that this process is logged in to, so that no PIN is taken as checked by an earlier
    // one.
    logged_in: Mutex<BTreeSet<CK_SLOT_ID>>,
}

impl Drop for Module {
    fn drop(&mut self) {
        self.raw.finalize();
    }
}

impl Module {
    /// Loads and initialises the module in this file (C_Initialize with CKF_OS_LOCKING_OK, PKCS#11
    /// v3.1, 5.4.1). `args` is for modules that take a text as `pReserved`; no vendor's own means
    /// to find its configuration is replaced by it.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the file is no PKCS#11 module, or it cannot start.
    pub fn open(path: &Path, args: Option<&CStr>) -> Result<Module> {
        let raw = raw::Functions::load(path)?;
        raw.initialize(args).map_err(|error| {
            Error::hsm(
                format!("{} does not start: {error}", path.display()),
                "check the module's own configuration (for SoftHSM the file named by SOFTHSM2_CONF), or what it wants as --module-args",
            )
        })?;
        Ok(Module { raw, logged_in: Mutex::default() })
    }

    /// The one initialised token of this label.
    ///
    /// # Errors
    /// `TOKEN-NOT-FOUND` where none or several have it, naming the labels present; [`Error::Hsm`]
    /// where the module fails.
    pub fn token(&self, label: &str) -> Result<Token<'_>> {
        let (mut labels, mut fitting) = (Vec::new(), Vec::new());
        for slot in self.raw.slots()? {
            // A reader without a readable token says nothing about the one that is sought.
            let info = self.raw.token(slot).ok();
            let Some(info) = info.filter(|info| info.flags & CKF_TOKEN_INITIALIZED != 0) else {
                continue;
            };
            let identity = identity(&info);
            labels.push(format!("\"{}\"", identity.label.escape_debug()));
            if identity.label == label {
                let protected_path = info.flags & CKF_PROTECTED_AUTHENTICATION_PATH != 0;
                fitting.push(Token { module: self, slot, identity, protected_path });
            }
        }
        match fitting.pop() {
            Some(token) if fitting.is_empty() => Ok(token),
            _ => Err(token_error(label, &labels)),
        }
    }

    fn logins(&self) -> MutexGuard<'_, BTreeSet<CK_SLOT_ID>> {
        whole(self.logged_in.lock())
    }
}

/// What is behind a lock: changed by single inserts and removes, so a panic elsewhere left it whole.
#[expect(clippy::disallowed_methods, reason = "the value that was locked, and no other")]
fn whole<T>(locked: LockResult<T>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// How near a token is to locking its user PIN (CK_TOKEN_INFO.flags, PKCS#11 v3.1, 3.2). PKCS#11
/// has no number of tries left, and some tokens raise fewer of these flags than they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinState {
    /// No flag is raised.
    Normal,
    /// CKF_USER_PIN_COUNT_LOW: a wrong PIN has been tried since the last right one.
    CountLow,
    /// CKF_USER_PIN_FINAL_TRY: a wrong PIN now locks it.
    FinalTry,
    /// CKF_USER_PIN_LOCKED.
    Locked,
}

/// A token, not logged in to.
#[derive(Clone)]
pub struct Token<'m> {
    module: &'m Module,
    slot: CK_SLOT_ID,
    identity: TokenIdentity,
    protected_path: bool,
}

impl<'m> Token<'m> {
    /// Which token it is, as its module says.
    pub fn identity(&self) -> &TokenIdentity {
        &self.identity
    }

    /// How near the token is to locking its PIN, asked anew.
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token does not answer.
    pub fn pin_state(&self) -> Result<PinState> {
        self.pin_state_of(CKU_USER)
    }

    /// The security officer's counter is left to the officer: only the last try is looked at.
    fn pin_state_of(&self, user: CK_USER_TYPE) -> Result<PinState> {
        let flags = self.info()?.flags;
        let [locked, final_try, count_low] = match user {
            CKU_SO => [CKF_SO_PIN_LOCKED, CKF_SO_PIN_FINAL_TRY, 0],
            _ => [CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_COUNT_LOW],
        };
        Ok(match flags {
            flags if flags & locked != 0 => PinState::Locked,
            flags if flags & final_try != 0 => PinState::FinalTry,
            flags if flags & count_low != 0 => PinState::CountLow,
            _ => PinState::Normal,
        })
    }

    /// Whether the PIN is entered at the token itself (CKF_PROTECTED_AUTHENTICATION_PATH).
    pub fn has_protected_path(&self) -> bool {
        self.protected_path
    }

    /// Logs in as the user: one try, with this PIN, or with `None` at the token's own keypad.
    ///
    /// The PIN is really tried: where the module says that the user is logged in already, it is
    /// logged out first.
    ///
    /// # Errors
    /// `PIN-FINAL-TRY` before the last try is spent; [`Error::Hsm`] for a wrong or locked PIN, a
    /// second login of this process to the same token, or a token that fails.
    pub fn login(&self, pin: Option<&Pin>) -> Result<Hsm<'m>> {
        self.login_as(CKU_USER, &self.name(), pin)
    }

    /// One login of this process, of one user; the last try of a PIN is never spent here.
    fn login_as(&self, user: CK_USER_TYPE, name: &str, pin: Option<&Pin>) -> Result<Hsm<'m>> {
        match self.pin_state_of(user)? {
            PinState::Normal | PinState::CountLow => {}
            PinState::Locked => return Err(locked_error(name, user)),
            PinState::FinalTry => {
                return Err(Rule::PinFinalTry.refuse(
                    format!("{name} says that one try of its PIN is left"),
                    "a token that has more than one try left",
                    "whoever holds the PIN logs in once with the vendor's own tool and the right PIN, which resets the counter; then run the same command again",
                ));
            }
        }
        if pin.is_none() && !self.protected_path {
            return Err(Error::hsm(
                format!("{} has no keypad of its own", self.name()),
                "give the PIN when Keyferry asks for it",
            ));
        }
        if pin.is_some_and(|pin| pin.0.is_empty()) {
            return Err(Error::hsm(
                "the PIN is empty, and was not tried",
                "run the same command again and type the PIN",
            ));
        }
        if !self.module.logins().insert(self.slot) {
            return Err(Error::hsm(
                format!("this program is logged in to {} already", self.name()),
                "let the first login end before the next begins",
            ));
        }
        let session = self.try_pin(user, pin).inspect_err(|_| {
            self.module.logins().remove(&self.slot);
        })?;
        Ok(Hsm {
            token: self.clone(),
            login: session,
            seen: Mutex::default(),
            throwaway_label: THROWAWAY_LABEL.to_owned(),
            session_only: false,
        })
    }

    fn try_pin(&self, user: CK_USER_TYPE, pin: Option<&Pin>) -> Result<Session<'m>> {
        let session = self.open_session()?;
        let pin = pin.map(|pin| pin.0.as_bytes());
        let mut rv = self.module.raw.login(&session, user, pin)?;
        if rv == CKR_USER_ALREADY_LOGGED_IN {
            // Said without looking at the PIN. Log out, so that it is.
            session.logout()?;
            rv = self.module.raw.login(&session, user, pin)?;
        }
        let name = self.name();
        let (what, remedy) = match rv {
            CKR_OK => return Ok(session),
            CKR_PIN_INCORRECT | CKR_PIN_INVALID | CKR_PIN_LEN_RANGE => (
                format!("{name} says that the PIN is wrong"),
                "Keyferry does not try again by itself. PKCS#11 does not say how many tries are left: find the right PIN first, \
                 then run the same command again",
            ),
            CKR_PIN_LOCKED => return Err(locked_error(&name, user)),
            CKR_PIN_EXPIRED => (
                format!("the PIN of {name} has expired"),
                "set a new PIN with the vendor's tool, then run the same command again",
            ),
            CKR_USER_PIN_NOT_INITIALIZED => (
                format!("{name} has no user PIN yet"),
                "set the user PIN with the vendor's tool, then run the same command again",
            ),
            other => return Err(answer::code_error("C_Login", other)),
        };
        Err(Error::hsm(what, remedy))
    }

    fn open_session(&self) -> Result<Session<'m>> {
        self.module.raw.open_session(self.slot)
    }

    fn info(&self) -> Result<CK_TOKEN_INFO> {
        self.module.raw.token(self.slot)
    }

    fn name(&self) -> String {
        format!("the token \"{}\"", self.identity.label.escape_debug())
    }
}

/// A token that this process is logged in to; dropping it logs out.
///
/// Each operation opens a session of its own. Session objects (throwaway keys, ephemeral AES keys)
/// end with it, whatever happens.
pub struct Hsm<'m> {
    token: Token<'m>,
    // The login lasts as long as one session of the process is open (PKCS#11 v3.1, 5.6.8).
    login: Session<'m>,
    seen: Mutex<TrialResults>,
    // Of throwaway objects that stay until they are erased.
    throwaway_label: String,
    // Whether its canaries make no object that stays.
    session_only: bool,
}

/// What a token was seen to do, with throwaway objects.
#[derive(Default)]
struct TrialResults {
    /// By the kind of object, what the token does not take of it; none where it makes none.
    left_out: BTreeMap<&'static str, Option<LeftOut>>,
    /// How weak a KEK must be for the token to unwrap under it.
    kek_weakness: BTreeMap<Mechanism, usize>,
    /// By which mechanism it wraps as RFC 5649 says.
    wraps_by: Option<TokenMechanism>,
    /// By which mechanism it unwraps that.
    unwraps_by: Option<TokenMechanism>,
}

impl Drop for Hsm<'_> {
    fn drop(&mut self) {
        // A failure changes nothing: the session closes right after, and with it the login.
        let _ = self.login.logout();
        self.token.module.logins().remove(&self.token.slot);
    }
}

impl Hsm<'_> {
    /// Which token it is, as its module says.
    pub fn identity(&self) -> &TokenIdentity {
        self.token.identity()
    }

    /// The same for a probe: its throwaway objects bear this label, or, where the operator will not
    /// have any that stays on the token, end with their session.
    pub fn probing(mut self, label: String, session_only: bool) -> Self {
        (self.throwaway_label, self.session_only) = (label, session_only);
        self
    }

    /// Fills `out` with the token's randomness (C_GenerateRandom).
    ///
    /// # Errors
    /// [`Error::Hsm`] where the token gives none, or answers with zeros only.
    pub fn random(&self, out: &mut [u8]) -> Result<()> {
        self.logged_in().session.random(out)?;
        if out.len() >= 16 && out.iter().all(|byte| *byte == 0) {
            return Err(Error::hsm(
                "C_GenerateRandom answered zeros only",
                "do not use this token: its generator does not work",
            ));
        }
        Ok(())
    }

    /// A new read/write session, logged in as the others are.
    fn session(&self) -> Result<TokenSession<'_>> {
        Ok(TokenSession { hsm: self, session: self.token.open_session()? })
    }

    /// The session of the login, for what makes no session object: they would live as long. It
    /// serves one thread.
    fn logged_in(&self) -> TokenSession<'_> {
        TokenSession { hsm: self, session: self.login.lent() }
    }

    fn seen(&self) -> MutexGuard<'_, TrialResults> {
        whole(self.seen.lock())
    }

    /// The error with what of the vendor's set-up may be behind it.
    fn advised(&self, error: Error) -> Error {
        let known = Profile::of(self.identity()).known();
        let advised = |remedy: String| {
            let settings = known.settings.iter();
            settings.fold(remedy, |remedy, said| format!("{remedy}; of {}: {said}", known.name))
        };
        match error {
            Error::Hsm { what, remedy } => Error::Hsm { what, remedy: advised(remedy) },
            Error::Refused(mut refusal) => {
                refusal.remedy = advised(refusal.remedy);
                Error::Refused(refusal)
            }
            other => other,
        }
    }

    /// What the token can do with a mechanism, if it has it.
    fn mechanism(&self, kind: CK_MECHANISM_TYPE) -> Result<Option<CK_MECHANISM_INFO>> {
        self.token.module.raw.mechanism(self.token.slot, kind)
    }

    fn name(&self) -> String {
        self.token.name()
    }
}

/// A session of a token: what PKCS#11 does with objects is done in one.
struct TokenSession<'h> {
    hsm: &'h Hsm<'h>,
    session: Session<'h>,
}

impl TokenSession<'_> {
    /// Goes on in a new session: what that reads, no session says that has changed something.
    fn renew(&mut self) -> Result<()> {
        self.session.renew(self.hsm.token.slot)
    }
}

fn identity(info: &CK_TOKEN_INFO) -> TokenIdentity {
    TokenIdentity {
        manufacturer: text(&info.manufacturerID),
        model: text(&info.model),
        serial: text(&info.serialNumber),
        firmware: version(info.firmwareVersion),
        label: text(&info.label),
    }
}

/// A text of a module, padded with blanks (PKCS#11 v3.1, 3), or with zeros, as some pad.
fn text(padded: &[u8]) -> String {
    String::from_utf8_lossy(padded).trim_end_matches([' ', '\0']).to_owned()
}

/// A version as `major.minor`.
fn version(of: CK_VERSION) -> String {
    format!("{}.{}", of.major, of.minor)
}

fn token_error(label: &str, labels: &[String]) -> Error {
    let present = match labels {
        [] => "no initialised token".to_owned(),
        some => some.join(", "),
    };
    Rule::TokenNotFound.refuse(
        format!("the module shows {present}"),
        format!("one token with the label \"{}\"", label.escape_debug()),
        "the operator gives the right label with --token, or plugs the HSM in and waits until its own tool lists it; of two that share a label one is \
         relabelled or unplugged. Then run the same command again",
    )
}

fn locked_error(name: &str, user: CK_USER_TYPE) -> Error {
    let remedy = match user {
        CKU_SO => {
            "only the vendor can say whether a locked PIN of the security officer can be reset; to initialise the token would destroy its keys. Until then \
             the officers of both sides go on with another HSM that the plan names, or with a new plan"
        }
        _ => {
            "the HSM's security officer sets a new PIN (C_InitPIN, or the vendor's tool); no key is lost by that. Then run the same command again"
        }
    };
    Error::hsm(format!("the PIN of {name} is locked"), remedy)
}

fn module_error(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::hsm(
        format!("{} is no PKCS#11 module that loads here: {error}", path.display()),
        "install the HSM's client software and point --module or KEYFERRY_MODULE at its PKCS#11 library (.so)",
    )
}
