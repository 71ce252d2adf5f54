//! `probe`: a report of this side's token, before there is a plan; no ceremony is touched.
//!
//! A module is foreign code that may crash or hang. It is loaded by a child of this program, which
//! is the same program again, with one try after the other and a time for each; this one never
//! loads it, keeps what the child has said so far, and writes the report whatever comes of the rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::side::preflight::guard_unplanned;
use crate::side::token::{MAX_PIN, TokenArgs, require_tries_left};
use ::probe::{Direction, LeftFacts, Probe, TrialOutcome, UnfinishedTrial};
use hsm::{Pin, PinState, THROWAWAY_LABEL, Token, Trial};
use record::encoding;
use record::{Error, Fixed, Mode, Result, Rule, Side, escape, folder, json_file, list};
use terminal::answer::Question;
use terminal::report::Report;
use terminal::{Asker, Decision, Paper};

/// What is probed, and how.
pub struct ProbeOrder<'a> {
    /// Whose token it is.
    pub side: Side,
    /// Which token.
    pub token: &'a TokenArgs,
    /// Whether it serves rehearsals.
    pub mode: Mode,
    /// Whether the operator will have no token object made.
    pub session_only: bool,
    /// How long one trial may take.
    pub limit: Duration,
}

/// What the child says, a line each.
#[derive(Serialize, Deserialize)]
enum TrialMessage {
    /// The token, before the login.
    Token { probe: Box<Probe>, keypad: bool },
    /// It is logged in.
    LoggedIn,
    /// The trial of this number begins.
    Begins(usize),
    /// What was seen so far.
    Seen(Box<Probe>),
    /// It ends with an error.
    Failed(Error),
}

/// What the child is told once it has shown its token; the PIN's bytes follow, where it has one.
#[derive(Serialize, Deserialize)]
struct Orders {
    from: usize,
    label: String,
    probe: Box<Probe>,
    pin: Option<usize>,
}

/// Probes the token and writes the report to a new file.
///
/// # Errors
/// `FILE-EXISTS`, `TOKEN-NOT-FOUND`, `PIN-…`, `PREFLIGHT-…` in production, or the HSM's, where the
/// token cannot be found or logged in to.
pub fn probe(order: &ProbeOrder, to: &Path) -> Result<Report> {
    order.token.named()?;
    if to.exists() {
        return Err(folder::exists(to));
    }
    let machine = guard_unplanned(order.mode)?;
    order.token.require_no_pin_file(order.mode)?;
    let asker = Asker::new(order.mode);
    let trials = Trial::all(order.side, order.session_only);
    let label = format!("{THROWAWAY_LABEL} {}", Fixed(encoding::random::<4>()?));
    let (mut from, mut seen, mut secret) = (0, None, None);
    while seen.is_none() || from < trials.len() {
        let begun =
            TrialChild::begin(order, (&trials[..], &label, from), &asker, &seen, &mut secret);
        let (mut child, mut probe) = match (begun, &mut seen) {
            (Ok(begun), _) => begun,
            (Err(error), None) => return Err(error),
            // What was seen is reported all the same.
            (Err(error), Some(probe)) => {
                probe.unfinished.extend(trials[from..].iter().map(|trial| UnfinishedTrial {
                    trial: trial.to_string(),
                    found: error.to_string(),
                }));
                break;
            }
        };
        while from < trials.len() {
            match child.said(order.limit) {
                Ok(Some(TrialMessage::Begins(at))) => {
                    from = at;
                    asker.progress(&trials[at].to_string());
                }
                Ok(Some(TrialMessage::Seen(so_far))) => {
                    probe = so_far;
                    from += 1;
                }
                ended => {
                    let found = match ended {
                        Err(error) => error.to_string(),
                        _ => format!(
                            "the module crashed, or did not answer within {} s",
                            order.limit.as_secs()
                        ),
                    };
                    let trial = trials[from].to_string();
                    probe.unfinished.push(UnfinishedTrial { trial, found });
                    from += 1;
                    break;
                }
            }
        }
        seen = Some(probe);
    }
    let probe = seen.ok_or_else(|| Error::defect("a probe without a trial"))?;
    let probe = Probe { machine, session_only: order.session_only, ..*probe };
    folder::write_new(to, &json_file(&probe)?)?;
    Ok(report(&probe, to))
}

/// Says what will be made on the token; in production the operator must agree.
///
/// # Errors
/// [`Error::Ended`] where the operator does not.
fn agree(order: &ProbeOrder, (trials, label): (&[Trial], &str), asker: &Asker) -> Result<()> {
    let mut counts = BTreeMap::new();
    for object in trials.iter().flat_map(|trial| trial.token_objects(order.session_only)) {
        *counts.entry(object).or_insert(0) += 1;
    }
    if counts.is_empty() {
        asker.say("No object is made on the token but such as end with their session.");
        return Ok(());
    }
    let counts = list(counts.iter().map(|(object, count)| match count {
        1 => format!("1 {object}"),
        _ => format!("{count} {object}s"),
    }));
    asker.say(&format!(
        "On the token, throwaway objects with the label \"{label}\" are made one after the other, and erased at once: {counts}; more where it does not take them \
         as they are asked for. On an HSM that is in use they are copied to its other members, or become files. --session-only makes none of them, and then the report says \
         that they were not tried.",
    ));
    if order.mode == Mode::Rehearsal {
        return Ok(());
    }
    let how = "Only yes has them made; no (or q) ends here.";
    match asker.decide(Question::Decide, "Type yes to have them made: ", how, &mut Paper)? {
        Decision::Yes => Ok(()),
        Decision::No => Err(Error::Ended { what: "nothing was made on the token".to_owned() }),
    }
}

/// This program again, which loads the module.
struct TrialChild {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl TrialChild {
    /// A child that has shown its token and is logged in, with what was seen so far. The operator
    /// agrees, and is asked for the PIN, once.
    fn begin(
        order: &ProbeOrder,
        (trials, label, from): (&[Trial], &str, usize),
        asker: &Asker,
        seen: &Option<Box<Probe>>,
        secret: &mut Option<Zeroizing<String>>,
    ) -> Result<(Self, Box<Probe>)> {
        let mut child = TrialChild::start()?;
        let (probe, keypad) = match child.said(order.limit)? {
            Some(TrialMessage::Token { probe, keypad }) => (probe, keypad),
            _ => return Err(silent_error("before it showed its token")),
        };
        if seen.is_none() {
            agree(order, (trials, label), asker)?;
        }
        let probe = seen.clone().unwrap_or(probe);
        if secret.is_none() && !keypad {
            *secret = Some(order.token.secret("PIN", asker, &probe.token.label)?);
        }
        let orders = Orders { from, label: label.to_owned(), probe: probe.clone(), pin: None };
        child.tell(orders, secret.as_ref())?;
        match child.said(order.limit)? {
            Some(TrialMessage::LoggedIn) => Ok((child, probe)),
            _ => Err(silent_error("at the login; the PIN was not tried again")),
        }
    }

    fn start() -> Result<Self> {
        let no_child = |error: std::io::Error| {
            Error::failed(format!("the probe's own child: {error}"), "try again")
        };
        let program = std::env::current_exe().map_err(no_child)?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).arg("--child");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(no_child)?;
        let taken = process.stdin.take().zip(process.stdout.take());
        let (input, output) = taken.ok_or_else(|| Error::defect("a child without pipes"))?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            // Ends with the child, or with whoever waits for its lines.
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(TrialChild { process, input, lines })
    }

    /// What the child says next; none where it ended, or said nothing for so long.
    ///
    /// # Errors
    /// The child's own, where it ended with one.
    fn said(&mut self, limit: Duration) -> Result<Option<TrialMessage>> {
        let Ok(line) = self.lines.recv_timeout(limit) else { return Ok(None) };
        match serde_json::from_str(&line).map_err(Error::defect)? {
            TrialMessage::Failed(error) => Err(error),
            said => Ok(Some(said)),
        }
    }

    fn tell(&mut self, orders: Orders, pin: Option<&Zeroizing<String>>) -> Result<()> {
        let orders = Orders { pin: pin.map(|pin| pin.len()), ..orders };
        let mut line = serde_json::to_vec(&orders).map_err(Error::encoding)?;
        line.push(b'\n');
        // A child that is gone says nothing next.
        let _ = self.input.write_all(&line);
        let _ = pin.map(|pin| self.input.write_all(pin.as_bytes()));
        Ok(())
    }
}

impl Drop for TrialChild {
    fn drop(&mut self) {
        // One that hangs would keep the token.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn silent_error(when: &str) -> Error {
    Error::hsm(
        format!("the module crashed, or did not answer, {when}"),
        "look at the HSM and its own log; run the same command again once it works",
    )
}

/// The child: shows the token, logs in, and makes one trial after the other.
pub fn child(order: &ProbeOrder) -> Result<()> {
    try_all(order).or_else(|error| say(&TrialMessage::Failed(error)))
}

fn try_all(order: &ProbeOrder) -> Result<()> {
    guard_unplanned(order.mode)?;
    order.token.find_to_login(order.mode, |module, token| {
        require_tries(token)?;
        let facts = module.facts(order.token.named()?.0)?;
        let probe = Box::new(token.unprobed(order.side, facts)?);
        say(&TrialMessage::Token { probe, keypad: token.has_protected_path() })?;
        let (Orders { from, label, mut probe, .. }, pin) = ordered()?;
        let hsm = token.login(pin.as_ref())?.probing(label, order.session_only);
        drop(pin);
        say(&TrialMessage::LoggedIn)?;
        let trials = Trial::all(order.side, order.session_only).into_iter();
        for (at, trial) in trials.enumerate().skip(from) {
            say(&TrialMessage::Begins(at))?;
            if let Err(error) = hsm.attempt(trial, &mut probe) {
                let found = error.to_string();
                probe.unfinished.push(UnfinishedTrial { trial: trial.to_string(), found });
            }
            say(&TrialMessage::Seen(probe.clone()))?;
        }
        Ok(())
    })
}

/// What the child is told, and the PIN that follows it.
fn ordered() -> Result<(Orders, Option<Pin>)> {
    // Not by std's own stdin, whose buffer nobody erases.
    let path: &Path = "/dev/stdin".as_ref();
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let mut input = File::from(input.map_err(|error| Error::file(path, error))?);
    let orders = orders(&mut input)?;
    let pin = match orders.pin {
        Some(length) if length as u64 <= MAX_PIN => {
            let mut bytes = Zeroizing::new(vec![0; length]);
            input.read_exact(&mut bytes).map_err(|error| Error::file(path, error))?;
            let text = std::str::from_utf8(&bytes).map_err(|error| Error::file(path, error))?;
            Some(Pin::new(Zeroizing::new(text.to_owned())))
        }
        _ => None,
    };
    Ok((orders, pin))
}

fn orders(input: &mut impl Read) -> Result<Orders> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    // No further than the line's end: what follows is the PIN.
    while input.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        line.extend(byte);
    }
    serde_json::from_slice(&line).map_err(Error::defect)
}

fn say(said: &TrialMessage) -> Result<()> {
    let mut line = serde_json::to_vec(said).map_err(Error::encoding)?;
    line.push(b'\n');
    let written = std::io::stdout().write_all(&line).and_then(|()| std::io::stdout().flush());
    written.map_err(|error| Error::defect(format!("the probe's child: {error}")))
}

/// There is no record here in which officers could allow one more try.
fn require_tries(token: &Token) -> Result<()> {
    match token.pin_state()? {
        PinState::CountLow => Err(Rule::PinCountLow.refuse(
            "the token says that few tries are left after a wrong PIN",
            "a token whose PIN has tries left",
            "whoever holds the PIN logs in once with the vendor's own tool and the right PIN, which resets the counter; then run this command again",
        )),
        other => require_tries_left(other),
    }
}

fn report(probe: &Probe, to: &Path) -> Report {
    let said = match probe.unfinished.is_empty() {
        true => "The token was probed; its throwaway objects are gone.",
        false => {
            "The token was probed, but for what is NOT KNOWN below. What that was tried with may still be there: the next `probe` finds, names and erases it."
        }
    };
    let mut report = Report::new(said)
        .value("token", escape(&probe.token.to_string()))
        .value("family", probe.profile.known().name)
        .value("mechanisms", probe.mechanisms.len())
        .value("it can be", roles(probe));
    let facts = &probe.facts;
    for (is, said) in [
        (probe.session_only, "not tried: token objects, by --session-only"),
        (facts.write_protected, "WRITE-PROTECTED: no key can be made or imported"),
        (
            !probe.serial_tells(),
            "its serial tells it from no other of its make: PLAN-HSM cannot hold a plan to it",
        ),
    ] {
        report = if is { report.line(said) } else { report };
    }
    if let Some(most) = facts.most_rw_sessions.or(facts.most_sessions) {
        report = report.value("sessions at most", most);
    }
    if let Some(objects) = facts.objects {
        report = report.value("objects", objects);
    }
    for LeftFacts { label, objects } in &probe.left {
        let what = format!("{objects} objects with the label \"{label}\"");
        report = report.line(format!("ERASED, left by what was killed before: {what}"));
    }
    report = report.part("HOW KEYS CROSS");
    for facts in &probe.transfers {
        let said = match &facts.outcome {
            TrialOutcome::Works { kwp } => format!("works ({})", list(kwp)),
            TrialOutcome::Refused { rule, .. } => format!("refused by {}", rule.name()),
            TrialOutcome::Failed { found } => {
                format!("failed: {}", escape(found.lines().next().unwrap_or_default()))
            }
        };
        report = report.line(format!(
            "{} {}, OAEP {}: {said}",
            facts.direction, facts.mechanism, facts.oaep_hash
        ));
    }
    for facts in probe.enforced.iter().filter(|facts| facts.refused != Some(true)) {
        let what = match facts.refused {
            None => "not held, or could not be tried",
            _ => "HELD AND NOT ENFORCED",
        };
        report = report.line(format!("{} of a {}: {what}", facts.attribute, facts.object));
    }
    report = report.part("WHAT A CEREMONY MAKES ON IT");
    for facts in &probe.objects {
        let made = match (&facts.found, facts.left_out.is_empty()) {
            (None, true) => "made".to_owned(),
            (None, false) => format!("made without {}", list(&facts.left_out)),
            (Some(found), _) => {
                let rule = facts.rule.map_or("NOT made", Rule::name);
                format!("{rule}: {}", escape(found.lines().next().unwrap_or_default()))
            }
        };
        report = report.line(format!("{}: {made}", facts.object));
    }
    report = report.part("WHAT TO LOOK AT");
    for trial in &probe.unfinished {
        let found = escape(trial.found.lines().next().unwrap_or_default());
        report = report.line(format!("NOT KNOWN, {}: {found}", trial.trial));
    }
    for finding in &probe.machine {
        let proposed = format!("{} on this machine: {}", finding.rule.name(), finding.found);
        report = report.line(format!("a waiver to propose, unless it is mended: {proposed}"));
    }
    report
        .part("WHAT ELSE IS KNOWN, AND WHERE IT IS")
        .value("trusted KEK", probe.trusted_kek())
        .value("attestation", probe.attestation.clone())
        .value("file", to.display().to_string())
}

/// Which side's token it can be, as far as it was seen.
fn roles(probe: &Probe) -> &'static str {
    match (probe.can(Direction::Wrap), probe.can(Direction::Unwrap)) {
        (true, true) => "tenant's or hoster's",
        (true, false) => "the tenant's only",
        (false, true) => "the hoster's only",
        (false, false) => "neither side's, where keys are carried",
    }
}
