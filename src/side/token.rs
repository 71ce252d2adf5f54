//! The way to this side's token: the planned HSM, and a PIN that is asked for once and never kept.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::{
    Result, approval,
    ceremony::Ceremony,
    escape::escape,
    folder,
    hsm::{Hsm, Module, Pin, PinState, Token},
    log::Event,
    phase::Step,
    plan::Mode,
    rule::Rule,
    terminal::Asker,
};

/// The greatest size of a PIN file, in bytes.
const MAX_PIN: u64 = 256;

/// Which token, and where its PIN comes from.
pub struct TokenChoice {
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// In a rehearsal, the file that holds the PIN.
    pub pin_file: Option<PathBuf>,
}

/// Logs in for a step, and takes it.
///
/// # Errors
/// `PHASE-ORDER`, `TOKEN-NOT-FOUND`, `PLAN-HSM`, `PIN-COUNT-LOW`, `PIN-FILE`, an HSM error, or what `act` ends with.
pub fn with_token<T>(
    ceremony: &mut Ceremony,
    step: Step,
    choice: &TokenChoice,
    asker: &Asker,
    act: impl FnOnce(&mut Ceremony, &Hsm) -> Result<T>,
) -> Result<T> {
    // First: no PIN is asked for, much less tried, for a step whose time has not come.
    ceremony.state.require(step)?;
    if choice.pin_file.is_some() && ceremony.plan.mode != Mode::Rehearsal {
        return Err(Rule::PinFile.refuse(
            "--pin-file in production",
            "the PIN typed on the terminal or at the token",
            "run the command without --pin-file",
        ));
    }
    let module = Module::open(&choice.module)?;
    let token = module.token(&choice.label)?;
    require_planned(ceremony, &token)?;
    require_tries(ceremony, &token)?;
    let pin = match token.has_protected_path() {
        true => None,
        false => Some(Pin::new(ask_pin(choice, asker, &token)?)),
    };
    let hsm = token.login(pin.as_ref())?;
    drop(pin);
    act(ceremony, &hsm)
}

fn ask_pin(choice: &TokenChoice, asker: &Asker, token: &Token) -> Result<Zeroizing<String>> {
    let Some(path) = &choice.pin_file else {
        return asker.hidden(&format!(
            "PIN of the token {:?}: ",
            escape(&token.identity().label)
        ));
    };
    let bytes = Zeroizing::new(folder::read_file(path, MAX_PIN)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| crate::Error::file(path, "not text"))?;
    Ok(Zeroizing::new(
        text.trim_end_matches(['\n', '\r']).to_owned(),
    ))
}

/// The token is one of those that the plan names for this side, where it names any.
fn require_planned(ceremony: &Ceremony, token: &Token) -> Result<()> {
    let Some(planned) = &ceremony.plan.party(ceremony.state.side).hsm else {
        return Ok(());
    };
    let found = token.identity();
    let fits = planned.manufacturer == found.manufacturer
        && planned.model == found.model
        && planned.serials.contains(&found.serial);
    if fits {
        return Ok(());
    }
    Err(Rule::PlanHsm.refuse(
        escape(&format!(
            "{} {}, serial {}",
            found.manufacturer, found.model, found.serial
        )),
        format!(
            "{} {}, serial {}",
            planned.manufacturer,
            planned.model,
            planned.serials.join(" or ")
        ),
        "connect the planned HSM, or choose its token with --token; another HSM needs another plan",
    ))
}

/// No PIN is spent while few tries are left, unless two officers have signed for one more.
fn require_tries(ceremony: &mut Ceremony, token: &Token) -> Result<()> {
    let state = token.pin_state()?;
    match state {
        PinState::Normal => return Ok(()),
        PinState::CountLow => {}
        PinState::FinalTry | PinState::Locked => {
            return Err(Rule::PinCountLow.refuse(
                if state == PinState::Locked { "the PIN is locked" } else { "one last try is left" },
                "a token whose PIN has tries left",
                "the HSM's security officer sets a new PIN (C_InitPIN, or the vendor's tool); no key is lost by that; then run this command again",
            ));
        }
    }
    let subject =
        serde_json::json!({ "token": token.identity(), "earlier_tries": ceremony.state.pin_tries });
    let summary = format!(
        "The token {:?} says that few tries of its PIN are left after a wrong one. Another wrong try may lock it. \
         Sign only if you are sure that the PIN about to be typed is right. This allows one try.",
        token.identity().label
    );
    let approved =
        approval::require(ceremony, "pin-try", subject, summary).map_err(|error| match error {
            crate::Error::Waiting { what } => Rule::PinCountLow.refuse(
                "the token says that few tries are left after a wrong PIN",
                "signatures of two officers for one more try",
                what,
            ),
            other => other,
        })?;
    ceremony.record(Event::PinTry {
        request: approved.request,
        signatures: approved.signatures,
    })?;
    Ok(())
}
