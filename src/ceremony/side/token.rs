//! The way to this side's token: the planned HSM, and a PIN that is asked for once and never kept.

use std::ffi::{CString, NulError};
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use crate::Ceremony;
use ::probe::checks;
use hsm::{Hsm, Module, Pin, PinState, Token};
use record::{Error, Mode, Result, Rule, Step, escape, folder, gate, quote};
use terminal::Asker;

/// The greatest size of a PIN file, in bytes.
pub(super) const MAX_PIN: u64 = 256;

/// The token, as far as it was named, and where its PIN comes from.
#[derive(Clone, Args)]
pub struct TokenArgs {
    /// The HSM's PKCS#11 module (a .so file)
    #[arg(long, global = true, env = "KEYFERRY_MODULE", value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// A text for the module's C_Initialize, where its maker asks for one
    #[arg(long, global = true, value_name = "TEXT", value_parser = without_zero)]
    pub module_args: Option<CString>,
    /// The label of the HSM's token
    #[arg(long, global = true, env = "KEYFERRY_TOKEN", value_name = "LABEL")]
    pub token: Option<String>,
    /// In a rehearsal: the file that holds the PIN
    #[arg(long, global = true, value_name = "FILE")]
    pub pin_file: Option<PathBuf>,
}

/// A text as C takes it.
fn without_zero(text: &str) -> std::result::Result<CString, NulError> {
    CString::new(text)
}

impl TokenArgs {
    /// The PKCS#11 module, and the token's label.
    ///
    /// # Errors
    /// [`Error::Usage`] where one is not named.
    pub fn named(&self) -> Result<(&Path, &str)> {
        let missing_error = |what: &str, option: &str| {
            let remedy =
                format!("name it with --{option}, or in KEYFERRY_{}", option.to_uppercase());
            Error::usage(format!("no {what}"), remedy)
        };
        let module = self.module.as_deref();
        let module = module.ok_or_else(|| missing_error("PKCS#11 module", "module"))?;
        Ok((module, self.token.as_deref().ok_or_else(|| missing_error("token", "token"))?))
    }

    /// Loads the module, and finds the token, which nobody is logged in to yet.
    ///
    /// # Errors
    /// As [`TokenArgs::named`]; `TOKEN-NOT-FOUND`, or the HSM's.
    pub fn find<T>(&self, act: impl FnOnce(&Module, &Token) -> Result<T>) -> Result<T> {
        let (path, label) = self.named()?;
        let module = Module::open(path, self.module_args.as_deref())?;
        let token = module.token(label)?;
        act(&module, &token)
    }

    /// As [`TokenArgs::find`], to log in.
    ///
    /// # Errors
    /// `PIN-FILE` in production, and as [`TokenArgs::find`].
    pub fn find_to_login<T>(
        &self,
        mode: Mode,
        act: impl FnOnce(&Module, &Token) -> Result<T>,
    ) -> Result<T> {
        self.named()?;
        self.require_no_pin_file(mode)?;
        self.find(act)
    }

    /// In production nobody's PIN lies in a file.
    ///
    /// # Errors
    /// `PIN-FILE`.
    pub(super) fn require_no_pin_file(&self, mode: Mode) -> Result<()> {
        Rule::PinFile.ensure(
            self.pin_file.is_none() || mode == Mode::Rehearsal,
            "a PIN file in production",
            "the PIN typed on the terminal or at the token",
            "run the command without it; `probe`, which has no plan, takes one with --rehearsal",
        )
    }

    /// As [`TokenArgs::find_to_login`], for a step of a ceremony, if it is one of the plan's tokens.
    ///
    /// # Errors
    /// `PHASE-ORDER`, `PLAN-HSM`, and as [`TokenArgs::find_to_login`].
    pub fn find_for_step<T>(
        &self,
        ceremony: &mut Ceremony,
        step: Step,
        act: impl FnOnce(&mut Ceremony, &Token) -> Result<T>,
    ) -> Result<T> {
        self.named()?;
        // First: no PIN is asked for, much less tried, for a step whose time has not come.
        ceremony.state.require(step)?;
        self.find_to_login(ceremony.plan.mode, |_, token| {
            require_planned(ceremony, token)?;
            act(ceremony, token)
        })
    }

    /// Logs in. The PIN is gone when the login was tried.
    ///
    /// # Errors
    /// As [`TokenArgs::pin`]; `PIN-…`, or the HSM's.
    pub fn login<'m>(&self, asker: &Asker, token: &Token<'m>) -> Result<Hsm<'m>> {
        token.login(self.pin("PIN", asker, token)?.as_ref())
    }

    /// The PIN, unless the token has a keypad of its own.
    ///
    /// # Errors
    /// What reading the file or asking can end with.
    pub fn pin(&self, what: &str, asker: &Asker, token: &Token) -> Result<Option<Pin>> {
        let label = &token.identity().label;
        if token.has_protected_path() {
            let label = quote(&escape(label));
            asker.say(&format!(
                "{what} of the token {label}: it is typed at the token's own keypad, now"
            ));
            return Ok(None);
        }
        self.secret(what, asker, label).map(|pin| Some(Pin::new(pin)))
    }

    /// The PIN of a token without a keypad.
    pub(super) fn secret(
        &self,
        what: &str,
        asker: &Asker,
        label: &str,
    ) -> Result<Zeroizing<String>> {
        let Some(path) = &self.pin_file else {
            return asker.hidden(&format!("{what} of the token {}: ", quote(&escape(label))));
        };
        let bytes = Zeroizing::new(folder::read_file(path, MAX_PIN)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::file(path, "not text"))?;
        Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

/// The token is one of those that the plan names for this side, where it names any.
///
/// # Errors
/// `PLAN-HSM`.
pub fn require_planned(ceremony: &Ceremony, token: &Token) -> Result<()> {
    checks::planned(&ceremony.plan, ceremony.state.side, token.identity())
}

/// What is found of a token whose PIN is tried only once officers have signed for it.
pub const FEW_TRIES: &str = "the token says that few tries are left after a wrong PIN";

/// The PIN can be tried without a thought of locking it.
///
/// # Errors
/// `PIN-COUNT-LOW`, saying who mends it.
pub fn require_tries_left(state: PinState) -> Result<()> {
    let (found, remedy) = match state {
        PinState::Normal => return Ok(()),
        PinState::CountLow => (
            FEW_TRIES,
            "whoever holds the PIN makes sure of it; the next command that needs it asks two officers to sign for one more try. A login with the \
             vendor's own tool and the right PIN resets the counter too",
        ),
        PinState::FinalTry => (
            "one last try is left",
            "whoever holds the PIN logs in once with the vendor's own tool, which resets the counter; or, if the PIN is not certain, the HSM's security \
             officer sets a new one (C_InitPIN, or the vendor's tool). No key is lost by either; then run this command again",
        ),
        PinState::Locked => (
            "the PIN is locked",
            "the HSM's security officer sets a new PIN (C_InitPIN, or the vendor's tool); no key is lost by that. Then run this command again. If nobody has the \
             security officer's PIN, ask the vendor: initialising the token would destroy its keys",
        ),
    };
    Err(Rule::PinCountLow.refuse(found, "a token whose PIN has tries left", remedy))
}

/// No PIN is spent while few tries are left, unless two officers have signed for one more.
///
/// # Errors
/// `PIN-COUNT-LOW`.
pub fn require_tries(ceremony: &mut Ceremony, token: &Token) -> Result<()> {
    match token.pin_state()? {
        PinState::CountLow => {}
        other => return require_tries_left(other),
    }
    require_signed_try(ceremony, token).map_err(|error| match error {
        Error::Waiting { what } => {
            Rule::PinCountLow.refuse(FEW_TRIES, "signatures of two officers for one more try", what)
        }
        other => other,
    })
}

/// Officers have signed for one more try.
fn require_signed_try(ceremony: &mut Ceremony, token: &Token) -> Result<()> {
    let subject = gate::PinTry::of(&ceremony.state, token.identity().clone());
    crate::approval::require(ceremony, &subject)?.covers(&subject)
}

/// How a login ends that failed: with what the token then says of its tries, at once; and where few
/// are left, with what officers sign before the next.
pub fn after_login(ceremony: &mut Ceremony, asker: &Asker, token: &Token, failed: Error) -> Error {
    let Error::Hsm { what, remedy } = failed else { return failed };
    match token.pin_state() {
        Ok(PinState::Normal) => {
            Error::hsm(format!("{what}; it says nothing of how many tries are left"), remedy)
        }
        Ok(PinState::CountLow) => {
            let said = "it says that few tries are left: officers sign before the next one";
            asker.say(&format!("HSM: {what}; {said}"));
            match require_signed_try(ceremony, token) {
                Ok(()) => Error::hsm(what, remedy),
                Err(error) => error,
            }
        }
        Ok(state) => match require_tries_left(state) {
            Err(Error::Refused(refusal)) => {
                Error::hsm(format!("{what}; now {}", refusal.found), refusal.remedy)
            }
            _ => Error::hsm(what, remedy),
        },
        Err(_) => Error::hsm(what, remedy),
    }
}
