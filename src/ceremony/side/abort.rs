//! `abort`: the ceremony ends without its aim, for good. What must now be destroyed is said, and
//! looked for where it can be.
//! `restart`: this side gives its attempt up and begins the next, only before a receipt is released.

use clap::Args;

use crate::hoster::closing;
use crate::side::{room, trial};
use crate::tenant::trust;
use crate::{Ceremony, Means, Report, Run, approval};
use record::{Event, Result, Side, Step, TransferRoute, Trial, gate};

/// `abort`, as it is typed.
#[derive(Args)]
pub struct Abort {
    /// Why; it is signed and stays in the record
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    reason: String,
    /// Do not look in the HSM what is left to be destroyed: it is lost or broken
    #[arg(long)]
    without_hsm: bool,
}

impl Run for Abort {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            ceremony.state.require(Step::Abort)?;
            Ok((gate::Abort::of(&ceremony.state, &room::reason(&self.reason)?), ()))
        };
        if self.without_hsm || no_hsm(ceremony) {
            let (subject, ()) = find(ceremony)?;
            approval::require(ceremony, &subject)?;
            let never = !self.without_hsm && ceremony.state.way == TransferRoute::Born;
            return abort(ceremony, subject, never.then(Vec::new));
        }
        means.gated(ceremony, Step::Abort, find, |ceremony, hsm, subject, ()| {
            let left = match ceremony.state.side {
                Side::Tenant => trust::look(ceremony, hsm)?,
                Side::Hoster => closing::look(ceremony, hsm)?,
            };
            abort(ceremony, subject, Some(left))
        })
    }

    fn on_any_machine(&self) -> bool {
        self.without_hsm
    }
}

/// Ends the ceremony. `left` is what the HSM still holds of it; `None` where nobody looked.
fn abort(
    ceremony: &mut Ceremony,
    subject: gate::Abort,
    left: Option<Vec<String>>,
) -> Result<Report> {
    let left = left.unwrap_or_else(|| vec!["not looked for: the HSM was not asked".into()]);
    let head = ceremony.record(Event::Abort { reason: subject.reason, left: left.clone() })?;
    let in_hsm = match left.is_empty() && no_hsm(ceremony) {
        true => vec!["nothing: the keys were never in the tenant's HSM".to_owned()],
        false => left,
    };
    let report = Report::new("The ceremony is aborted; nothing of it can be resumed. The other side does not know: tell it to `abort` too.")
        .value("abort", head.hash.to_string())
        .each("left in HSM", "the HSM was searched: nothing of this ceremony is left in it", &in_hsm)
        .part("WHAT IS LEFT TO DO")
        .line("Still to be destroyed where it exists, and noted:")
        .lines(to_destroy(ceremony).iter().map(|what| format!("  - {what}")));
    let remains = trial::remains(&ceremony.plan, ceremony.state.side).into_iter();
    let report = report.lines(remains.map(|what| format!("  - {what}")));
    let report = match ceremony.plan.trial {
        Trial::This => report.line("The production plan names this trial: `trial` is the SHA-256 of the closing.json that the hoster's `kek destroy`, or `keys destroy`, makes."),
        Trial::None | Trial::After(_) => report.line("A new plan names what it supersedes: this plan's SHA-256."),
    };
    Ok(report.value("plan", ceremony.plan.hash().to_string()))
}

/// Whether Keyferry never used this side's HSM: keys that were born at the hoster were not in the
/// tenant's, and those that another tool has wrapped are not known to it.
fn no_hsm(ceremony: &Ceremony) -> bool {
    ceremony.state.side == Side::Tenant && ceremony.state.way.is_challenged()
}

/// What no program can look for.
fn to_destroy(ceremony: &Ceremony) -> &'static [&'static str] {
    match (ceremony.state.side, ceremony.state.way) {
        (Side::Tenant, TransferRoute::Born) => &["nothing on this side"],
        (Side::Tenant, TransferRoute::Brought) => &[
            "every copy of the wrapped keys, on media too",
            "the keys in the tenant's HSM only if no new plan will carry them; Keyferry has never used it",
        ],
        (Side::Hoster, TransferRoute::Born) => &[
            "the keys that were born here, with `keys destroy`, where there are any; backups and clones of the HSM too",
            "keys that are primary already stay so: their service decides what follows them",
        ],
        (Side::Tenant, TransferRoute::Carried | TransferRoute::Cloud) => &[
            "every share file: the custodians' copies, and outbox/shares on this machine and its mirror",
            "every copy of the package/ folder, on media too",
            "the target keys in the tenant's HSM only if no new plan will carry them; Keyferry leaves them",
        ],
        (Side::Hoster, TransferRoute::Carried | TransferRoute::Brought | TransferRoute::Cloud) => {
            &[
                "the KEK, with `kek destroy`, where one was made; backups and clones of the HSM too",
                "share files and identities that custodians left here",
                "every copy of the package/ folder, on media too",
                "keys that are primary already stay so: their service decides what follows them",
            ]
        }
    }
}

/// `restart`, as it is typed.
#[derive(Args)]
pub struct Restart {
    /// Why; it is signed and stays in the record
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    reason: String,
}

impl Run for Restart {
    /// The hoster's last attempt has left keys in its HSM; the tenant's has not.
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            ceremony.state.require(Step::Restart)?;
            Ok((gate::Restart::of(&ceremony.state, &room::reason(&self.reason)?), ()))
        };
        if ceremony.state.side == Side::Tenant {
            let (subject, ()) = find(ceremony)?;
            approval::require(ceremony, &subject)?;
            return restart(ceremony, subject, |_| Ok((Vec::new(), Vec::new())));
        }
        means.gated(ceremony, Step::Restart, find, |ceremony, hsm, subject, ()| {
            restart(ceremony, subject, |ceremony| {
                Ok((closing::destroy_left(ceremony, hsm)?, closing::nameless_left(ceremony, hsm)?))
            })
        })
    }
}

/// Begins the next attempt. `clear` destroys what the last one made in the HSM, where there is
/// something, and says what it can't; where it fails, the attempt has not ended.
fn restart(
    ceremony: &mut Ceremony,
    subject: gate::Restart,
    clear: impl FnOnce(&Ceremony) -> Result<(Vec<String>, Vec<String>)>,
) -> Result<Report> {
    let begun = ceremony.begin(Step::Restart)?;
    let (destroyed, left) = clear(ceremony)?;
    let attempt = begun.attempt + 1;
    ceremony.finish(begun, Event::Restart { attempt, reason: subject.reason })?;
    let report = Report::new(format!(
        "Attempt {attempt} begins. Documents and shares of attempt {} serve for nothing more; they stay in the record.",
        attempt - 1
    ))
    .value("attempt", attempt)
    .each("destroyed", "nothing", &destroyed)
    .line(match (ceremony.state.side, ceremony.state.way) {
        (Side::Tenant, TransferRoute::Born | TransferRoute::Brought) => "Take the hoster's new keys with `keys check`.",
        (Side::Hoster, TransferRoute::Born) => "Tell the tenant that new keys come. If it has made a challenge for the old ones, it must `restart` too before it can take them.",
        (Side::Tenant, TransferRoute::Carried | TransferRoute::Cloud) => "Custodians destroy the shares of the attempt that ended, and so do you: outbox/attempt-…/shares here and in the mirror. If the hoster has begun again too, take its new offer first.",
        (Side::Hoster, TransferRoute::Carried | TransferRoute::Brought | TransferRoute::Cloud) => "Tell the tenant that a new offer comes. If it has made a package for the old one, it must `restart` too before it can take it.",
    });
    Ok(closing::with_nameless(report, left))
}
