//! The whole flow on one screen: which step may follow which. What is not in the table is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    document::Kind,
    encoding::{Hash, PackageId},
    log::{Entry, Event, GENESIS, Head, KekRecord, KeyRecord, Share},
    plan::{Id, Side},
    preflight::Seen,
    rule::Rule,
};

/// What a side can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the table below says what each is
pub enum Step {
    Init,
    KekCreate,
    OfferCheck,
    KekTrust,
    KeysCreate,
    Export,
    ShareConfirm,
    ShareReissue,
    Release,
    PackageCheck,
    Import,
    ReceiptCheck,
    Register,
    Primary,
    Accept,
    KekDestroy,
    Close,
}

/// How far a side has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the table below says what each is
pub enum Phase {
    Planned,
    OfferMade,
    OfferReleased,
    OfferTaken,
    KekTrusted,
    KeysReady,
    PackageMade,
    PackageReleased,
    PackageTaken,
    ReceiptMade,
    ReceiptReleased,
    ReceiptTaken,
    Registered,
    RegistrationMade,
    RegistrationReleased,
    AcceptanceMade,
    AcceptanceReleased,
    ClosingMade,
    ClosingReleased,
    Closed,
}

/// One line of the table.
pub struct Row {
    /// On which side.
    pub side: Side,
    /// From where.
    pub phase: Phase,
    /// By what.
    pub step: Step,
    /// To where.
    pub next: Phase,
    /// Who acts.
    pub who: &'static str,
    /// The command, after the program's name.
    pub command: &'static str,
}

macro_rules! table {
    ($($side:ident $phase:ident $step:ident $next:ident $who:literal $command:literal;)*) => {
        &[$(Row { side: Side::$side, phase: Phase::$phase, step: Step::$step, next: Phase::$next, who: $who, command: $command },)*]
    };
}

/// Every step that is allowed. The first line of a phase is what `status` proposes, unless a step must
/// be taken first for each custodian.
pub const TABLE: &[Row] = table! {
    Hoster Planned              KekCreate    OfferMade            "the hoster's operator"   "kek create";
    Hoster OfferMade            Release      OfferReleased        "the hoster's officers"   "release";
    Hoster OfferReleased        PackageCheck PackageTaken         "the hoster's operator"   "package check PACKAGE";
    Hoster PackageTaken         Import       ReceiptMade          "the hoster's operator, with a quorum of custodians" "import PACKAGE --share FILE --identity FILE ...";
    Hoster ReceiptMade          Release      ReceiptReleased      "the hoster's officers"   "release";
    Hoster ReceiptReleased      Register     Registered           "the hoster's operator"   "register";
    Hoster Registered           Primary      RegistrationMade     "the hoster's operator"   "primary";
    Hoster RegistrationMade     Release      RegistrationReleased "the hoster's officers"   "release";
    Hoster RegistrationReleased KekDestroy   ClosingMade          "the hoster's operator"   "kek destroy ACCEPTANCE";
    Hoster ClosingMade          Release      ClosingReleased      "the hoster's officers"   "release";
    Hoster ClosingReleased      Close        Closed               "the hoster's operator"   "close";

    Tenant Planned              OfferCheck   OfferTaken           "the tenant's security officer" "offer check OFFER";
    Tenant OfferTaken           KekTrust     KekTrusted           "the security officer of the tenant's HSM" "kek trust";
    Tenant OfferTaken           KeysCreate   KeysReady            "the tenant's security officer" "keys create";
    Tenant KekTrusted           KeysCreate   KeysReady            "the tenant's security officer" "keys create";
    Tenant KekTrusted           KekTrust     KekTrusted           "the security officer of the tenant's HSM" "kek trust";
    Tenant KeysReady            Export       PackageMade          "the tenant's security officer" "export";
    Tenant KeysReady            KekTrust     KeysReady            "the security officer of the tenant's HSM" "kek trust";
    Tenant PackageMade          ShareConfirm PackageMade          "each custodian"          "share confirm CUSTODIAN";
    Tenant PackageMade          ShareReissue PackageMade          "the tenant's security officer" "share reissue CUSTODIAN";
    Tenant PackageMade          Release      PackageReleased      "the tenant's officers"   "release";
    Tenant PackageReleased      ReceiptCheck ReceiptTaken         "the tenant's security officer" "receipt check RECEIPT";
    Tenant PackageReleased      ShareReissue PackageReleased      "the tenant's security officer" "share reissue CUSTODIAN";
    Tenant ReceiptTaken         Accept       AcceptanceMade       "the tenant's security officer" "accept REGISTRATION";
    Tenant AcceptanceMade       Release      AcceptanceReleased   "the tenant's officers"   "release";
    Tenant AcceptanceReleased   Close        Closed               "the tenant's security officer" "close CLOSING";
};

/// A document that this side made.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// SHA-256 of it.
    pub hash: Hash,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// Whether its officers have released it.
    pub released: bool,
}

/// Everything that a side's log says, replayed.
#[derive(Debug, Clone)]
pub struct State {
    /// Whose log it is.
    pub side: Side,
    /// How far it has come.
    pub phase: Phase,
    /// This side's attempt, from 1.
    pub attempt: u32,
    /// The last entry that changed the phase.
    pub phase_entry: Head,
    /// How often officers have signed for a PIN to be tried.
    pub pin_tries: u64,
    /// A step that was begun and has no result.
    pub pending: Option<Step>,
    /// Documents of this side.
    pub made: BTreeMap<Kind, Made>,
    /// Documents of the other side that were taken.
    pub taken: BTreeMap<Kind, Hash>,
    /// The highest attempt seen of the other side.
    pub seen_attempt: u32,
    /// The KEK, at the hoster; at the tenant the one that its HSM trusts.
    pub kek: Option<KekRecord>,
    /// Whether the tenant's HSM still trusts that KEK, as far as the log says.
    pub trusted: bool,
    /// The target keys, in the plan's order.
    pub keys: Vec<KeyRecord>,
    /// The export that was made or taken.
    pub package_id: Option<PackageId>,
    /// The share files that were dealt.
    pub shares: Vec<Share>,
    /// The custodians who have confirmed their share.
    pub confirmed: BTreeSet<Id>,
    /// The custodians who opened the seal, and whose identity was spent on it.
    pub quorum: Option<(Vec<Id>, Vec<Id>)>,
    /// What a preflight compares with.
    pub seen: Seen,
}

impl State {
    /// The state after `init`.
    pub fn new(side: Side) -> Self {
        State {
            side,
            phase: Phase::Planned,
            phase_entry: GENESIS,
            pin_tries: 0,
            attempt: 1,
            pending: None,
            made: BTreeMap::new(),
            taken: BTreeMap::new(),
            seen_attempt: 0,
            kek: None,
            trusted: false,
            keys: Vec::new(),
            package_id: None,
            shares: Vec::new(),
            confirmed: BTreeSet::new(),
            quorum: None,
            seen: Seen::default(),
        }
    }

    /// The steps that may follow.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let (side, phase) = (self.side, self.phase);
        TABLE
            .iter()
            .filter(move |row| row.side == side && row.phase == phase)
    }

    /// Where a step leads from here.
    ///
    /// # Errors
    /// `PHASE-ORDER`, saying what may follow instead.
    pub fn require(&self, step: Step) -> Result<&'static Row> {
        self.rows().find(|row| row.step == step).ok_or_else(|| {
            let allowed: Vec<&str> = self.rows().map(|row| row.command).collect();
            let expected = if allowed.is_empty() {
                "nothing more: the ceremony is closed".into()
            } else {
                allowed.join(", or ")
            };
            Rule::PhaseOrder.refuse(
                format!("{} in the phase {}", name(&step), name(&self.phase)),
                expected,
                "run `status`: it shows the next step, who takes it, and the exact command",
            )
        })
    }

    /// The attempt that a step begun now belongs to: an export that was begun and not finished has
    /// dealt shares of a secret nobody may have kept, so the next one is another attempt.
    pub fn attempt_of(&self, step: Step) -> u32 {
        self.attempt + u32::from(step == Step::Export && self.pending == Some(Step::Export))
    }

    /// Takes one entry of the log.
    ///
    /// # Errors
    /// `LOG-EVENT` where the entry can't follow.
    pub fn apply(&mut self, entry: &Entry) -> Result<()> {
        let wrong = |found: String| {
            Rule::LogEvent.refuse(
                format!("entry {}: {found}", entry.head.seq),
                "a step that may follow the one before it",
                "do not go on with this log: compare it with its copies, and note who had access to it",
            )
        };
        self.seen.take(entry);
        let event = &entry.event;
        if let Event::Intent { step, attempt } = event {
            self.require(*step)
                .map_err(|error| wrong(error.to_string()))?;
            if *attempt != self.attempt_of(*step) {
                return Err(wrong(format!("attempt {attempt} after {}", self.attempt)));
            }
            self.attempt = *attempt;
            self.pending = Some(*step);
            return Ok(());
        }
        if matches!(event, Event::Quorum { .. }) && self.pending != Some(Step::Import) {
            return Err(wrong("a quorum without the intent to import".into()));
        }
        if let Event::KekUntrust { kek } = event
            && !(self.trusted && self.kek.as_ref() == Some(kek))
        {
            return Err(wrong("the end of a trusted KEK that is not there".into()));
        }
        if let Some(step) = event.step().filter(|step| *step != Step::Init) {
            let row = self
                .require(step)
                .map_err(|error| wrong(error.to_string()))?;
            self.check(event).map_err(wrong)?;
            if self.phase != row.next {
                self.phase_entry = entry.head;
            }
            self.phase = row.next;
            self.pending = None;
        }
        if let Event::Init { .. } = event {
            self.phase_entry = entry.head;
        }
        self.remember(event);
        Ok(())
    }

    fn check(&self, event: &Event) -> std::result::Result<(), String> {
        let step = event.step();
        if event.made().is_some() && self.pending != step {
            return Err(format!("a result of {step:?} without its intent"));
        }
        if let Event::Release { kind, document, .. } = event {
            let made = self.unreleased().map(|(kind, made)| (kind, made.hash));
            if made != Some((*kind, *document)) {
                return Err(format!("{kind} {document} is released, but was not made"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, event: &Event) {
        if let Some((kind, hash)) = event.made() {
            self.made.insert(
                kind,
                Made {
                    hash,
                    attempt: self.attempt,
                    released: false,
                },
            );
        }
        if let Some((kind, hash)) = event.took() {
            self.taken.insert(kind, hash);
        }
        match event {
            Event::KekCreate { kek, .. } => self.kek = Some(kek.clone()),
            Event::KekTrust { kek, .. } => {
                self.kek = Some(kek.clone());
                self.trusted = true;
            }
            Event::KekUntrust { .. } => self.trusted = false,
            Event::KeysCreate { keys, .. } | Event::Import { keys, .. } => self.keys = keys.clone(),
            Event::OfferCheck { attempt, .. } => self.seen_attempt = *attempt,
            Event::PackageCheck {
                attempt,
                package_id,
                ..
            } => {
                self.seen_attempt = *attempt;
                self.package_id = Some(*package_id);
            }
            Event::Export {
                package_id, shares, ..
            } => {
                self.package_id = Some(*package_id);
                self.shares = shares.clone();
            }
            Event::ShareConfirm { custodian } => {
                self.confirmed.insert(custodian.clone());
            }
            Event::Quorum { custodians, spent } => {
                self.quorum = Some((custodians.clone(), spent.clone()))
            }
            Event::PinTry { .. } => self.pin_tries += 1,
            Event::Release { kind, .. } => {
                if let Some(made) = self.made.get_mut(kind) {
                    made.released = true;
                }
            }
            _ => {}
        }
    }

    /// Whether a trusted KEK has outlived the export that it served, as far as the log says.
    pub fn trusted_left(&self) -> bool {
        self.trusted && self.made.contains_key(&Kind::Package)
    }

    /// The document that waits for its officers' signatures.
    pub fn unreleased(&self) -> Option<(Kind, Made)> {
        self.made
            .iter()
            .find(|(_, made)| !made.released)
            .map(|(kind, made)| (*kind, *made))
    }

    /// The hash of a document that this side has taken or made.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn document(&self, kind: Kind) -> Result<Hash> {
        let made = self.made.get(&kind).map(|made| made.hash);
        self.taken
            .get(&kind)
            .copied()
            .or(made)
            .ok_or_else(|| missing(kind))
    }

    /// A document that this side has made.
    ///
    /// # Errors
    /// `LOG-EVENT` where the log names none.
    pub fn made(&self, kind: Kind) -> Result<Made> {
        self.made.get(&kind).copied().ok_or_else(|| missing(kind))
    }
}

fn missing(kind: Kind) -> Error {
    Rule::LogEvent.refuse(
        format!("no {kind} in the log"),
        format!("an entry that names the {kind}"),
        "run `status`",
    )
}

/// The name of a step or phase as people read it: `kek-create`, `offer-made`.
pub fn name(value: &impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for c in format!("{value:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}
