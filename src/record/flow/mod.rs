//! The whole flow on one screen: which step may follow which. What is not in the table is refused.

mod answers;
mod check;
mod nodes;
pub mod replay;
pub mod results;
pub mod room;
pub mod seen;
mod state;
pub mod subjects;

use crate::named;
use crate::{Side, Step, TransferRoute};
pub use nodes::Nodes;
pub use state::{Abandoned, Approval, Made, Opened, State};

named! {
    /// How far a side has come.
    #[allow(missing_docs)] // the table below says what each is
    pub enum Phase {
        Planned = "planned",
        OfferMade = "offer-made",
        OfferReleased = "offer-released",
        OfferTaken = "offer-taken",
        KekTrusted = "kek-trusted",
        KeysReady = "keys-ready",
        KeysMade = "keys-made",
        KeysReleased = "keys-released",
        ChallengeMade = "challenge-made",
        ChallengeReleased = "challenge-released",
        CloudExported = "cloud-exported",
        PackageMade = "package-made",
        PackageReleased = "package-released",
        PackageTaken = "package-taken",
        ReceiptMade = "receipt-made",
        ReceiptReleased = "receipt-released",
        ReceiptTaken = "receipt-taken",
        Registered = "registered",
        Activated = "activated",
        RolledBack = "rolled-back",
        RegistrationMade = "registration-made",
        RegistrationReleased = "registration-released",
        AcceptanceMade = "acceptance-made",
        AcceptanceReleased = "acceptance-released",
        SourceDestroyed = "source-destroyed",
        ClosingMade = "closing-made",
        ClosingReleased = "closing-released",
        Aborted = "aborted",
        Closed = "closed",
    }
}

/// One line of the table.
pub struct Row {
    /// On which side.
    pub side: Side,
    /// From where.
    pub phase: Phase,
    /// By what.
    pub step: Step,
    /// To where; absent where it stays.
    pub next: Option<Phase>,
    /// Who acts.
    pub who: &'static str,
    /// The words of the command, after the program's name.
    pub words: &'static str,
    /// What it is given.
    pub needs: Needs,
}

named! {
    /// What the command of a step is given, as it is typed: the folder of a document, mostly.
    #[allow(missing_docs)] // the names say what each is
    pub enum Needs {
        Nothing = "",
        Plan = "PLAN",
        Offer = "OFFER",
        Package = "PACKAGE",
        Keys = "KEYS",
        Challenge = "CHALLENGE",
        Receipt = "RECEIPT",
        Registration = "REGISTRATION",
        Acceptance = "ACCEPTANCE",
        Closing = "CLOSING",
        Wrapped = "--format pkcs11",
        Cloud = "--format FORMAT --kek FILE",
        Custodian = "CUSTODIAN",
        Evidence = "FILE",
        Nodes = "--remove NODE",
        Certificate = "CERTIFICATE",
        Reason = "--reason TEXT",
    }
}

macro_rules! table {
    ($($side:ident $($phase:ident)|+ $step:ident $next:ident $who:literal $words:literal $needs:ident;)*) => {
        &[$($(Row { side: Side::$side, phase: Phase::$phase, step: Step::$step, next: Some(Phase::$next), who: $who, words: $words, needs: Needs::$needs },)+)*]
    };
}

/// How the tenant's keys come into the hoster's HSM: each of the tables below is followed by
/// [`TABLE`]. A line is of each phase that it names. The first line of a phase is what `status`
/// proposes, unless a step must be taken first for each custodian.
pub fn way_in(way: TransferRoute) -> &'static [Row] {
    match way {
        TransferRoute::Carried => CARRIED,
        TransferRoute::Born => BORN,
        TransferRoute::Brought => BROUGHT,
        TransferRoute::Cloud => CLOUD,
    }
}

/// How each side begins: there is no log before it.
pub const INIT: &[Row] = table! {
    Hoster Planned              Init         Planned              "the hoster's operator"   "init" Plan;
    Tenant Planned              Init         Planned              "the tenant's security officer" "init" Plan;
};

/// Born in the tenant's HSM, and carried.
pub const CARRIED: &[Row] = table! {
    Hoster Planned              KekCreate    OfferMade            "the hoster's operator"   "kek create" Nothing;
    Hoster OfferMade            Release      OfferReleased        "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster OfferReleased        PackageCheck PackageTaken         "the hoster's operator"   "package check" Package;
    Hoster PackageTaken         Import       ReceiptMade          "the hoster's operator, with a quorum of custodians" "import" Package;
    Hoster RegistrationReleased KekDestroy   ClosingMade          "the hoster's operator"   "kek destroy" Acceptance;
    Hoster Aborted              KekDestroy   ClosingMade          "the hoster's operator"   "kek destroy" Nothing;

    Tenant Planned              OfferCheck   OfferTaken           "the tenant's security officer" "offer check" Offer;
    Tenant OfferTaken           KekTrust     KekTrusted           "the security officer of the tenant's HSM" "kek trust" Nothing;
    Tenant OfferTaken|KekTrusted KeysCreate KeysReady "the tenant's security officer" "keys create" Nothing;
    Tenant KekTrusted           KekTrust     KekTrusted           "the security officer of the tenant's HSM" "kek trust" Nothing;
    Tenant KeysReady            KekTrust     KeysReady            "the security officer of the tenant's HSM" "kek trust" Nothing;
    Tenant KeysReady            Export       PackageMade          "the tenant's security officer" "export" Nothing;
    Tenant PackageMade          ShareConfirm PackageMade          "the tenant's security officer, with each custodian" "share confirm" Custodian;
    Tenant PackageMade          ShareReissue PackageMade          "the tenant's security officer" "share reissue" Custodian;
    Tenant PackageMade          Release      PackageReleased      "the tenant's security officer, once officers have signed" "release" Nothing;
    Tenant PackageReleased      ReceiptCheck ReceiptTaken         "the tenant's security officer" "receipt check" Receipt;
    Tenant PackageReleased      ShareReissue PackageReleased      "the tenant's security officer" "share reissue" Custodian;

    Tenant AcceptanceReleased   SourceDestroy SourceDestroyed     "the tenant's security officer" "source destroy" Closing;
    Tenant SourceDestroyed      Close        Closed               "the tenant's security officer" "close" Nothing;

    Hoster OfferMade|OfferReleased|PackageTaken Restart Planned "the hoster's operator"   "restart" Reason;
    Hoster PackageTaken         PackageCheck PackageTaken         "the hoster's operator"   "package check" Package;
    Tenant PackageMade|PackageReleased Restart KeysReady "the tenant's security officer" "restart" Reason;
    Tenant OfferTaken|KekTrusted OfferCheck OfferTaken "the tenant's security officer" "offer check" Offer;
    Tenant KeysReady            OfferCheck   KeysReady            "the tenant's security officer" "offer check" Offer;
};

/// Born in the hoster's HSM: nothing secret travels.
pub const BORN: &[Row] = table! {
    Hoster Planned              KeysCreate   KeysMade             "the hoster's operator"   "keys create" Nothing;
    Hoster KeysMade             Release      KeysReleased         "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster KeysReleased         Answer       ReceiptMade          "the hoster's operator"   "answer" Challenge;
    Hoster RegistrationReleased AcceptanceCheck ClosingMade       "the hoster's operator"   "acceptance check" Acceptance;
    Hoster Aborted              KeysDestroy  ClosingMade          "the hoster's operator"   "keys destroy" Nothing;

    Tenant Planned              KeysCheck    ChallengeMade        "the tenant's security officer" "keys check" Keys;
    Tenant ChallengeMade        Release      ChallengeReleased    "the tenant's security officer, once officers have signed" "release" Nothing;
    Tenant ChallengeReleased    ReceiptCheck ReceiptTaken         "the tenant's security officer" "receipt check" Receipt;

    Hoster KeysMade|KeysReleased Restart Planned "the hoster's operator"   "restart" Reason;
    Tenant ChallengeMade|ChallengeReleased Restart Planned "the tenant's security officer" "restart" Reason;
};

/// Born in the tenant's HSM, and wrapped by another tool: the tenant confirms the KEK for it, and
/// is then shown what arrived.
pub const BROUGHT: &[Row] = table! {
    Hoster Planned              KekCreate    OfferMade            "the hoster's operator"   "kek create" Nothing;
    Hoster OfferMade            Release      OfferReleased        "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster OfferReleased        ImportPlain  KeysMade             "the hoster's operator"   "import" Wrapped;
    Hoster KeysMade             Release      KeysReleased         "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster KeysReleased         Answer       ReceiptMade          "the hoster's operator"   "answer" Challenge;
    Hoster RegistrationReleased KekDestroy   ClosingMade          "the hoster's operator"   "kek destroy" Acceptance;
    Hoster Aborted              KekDestroy   ClosingMade          "the hoster's operator"   "kek destroy" Nothing;

    Tenant Planned              OfferCheck   OfferTaken           "the tenant's security officer" "offer check" Offer;
    Tenant OfferTaken           KeysCheck    ChallengeMade        "the tenant's security officer" "keys check" Keys;
    Tenant ChallengeMade        Release      ChallengeReleased    "the tenant's security officer, once officers have signed" "release" Nothing;
    Tenant ChallengeReleased    ReceiptCheck ReceiptTaken         "the tenant's security officer" "receipt check" Receipt;

    Hoster OfferMade|OfferReleased|KeysMade|KeysReleased Restart Planned "the hoster's operator"   "restart" Reason;
    Tenant OfferTaken           OfferCheck   OfferTaken           "the tenant's security officer" "offer check" Offer;
    Tenant ChallengeMade|ChallengeReleased Restart OfferTaken "the tenant's security officer" "restart" Reason;
};

/// Born in the tenant's HSM, and wrapped for a cloud service: the hoster's side has no steps. A KEK
/// that has expired is followed by another.
pub const CLOUD: &[Row] = table! {
    Tenant Planned              KeysCreate   KeysReady            "the tenant's security officer" "keys create" Nothing;
    Tenant KeysReady|CloudExported CloudExport CloudExported "the tenant's security officer" "export" Cloud;
    Tenant CloudExported        Close        Closed               "the tenant's security officer" "close" Nothing;
};

/// Every other step that is allowed, whatever the way.
pub const TABLE: &[Row] = table! {
    Hoster ReceiptMade          Release      ReceiptReleased      "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster ReceiptReleased      Register     Registered           "the hoster's operator"   "register" Nothing;
    Hoster Registered           Evidence     Registered           "the hoster's operator"   "evidence add" Evidence;
    Hoster Activated            Evidence     Activated            "the hoster's operator"   "evidence add" Evidence;
    Hoster Activated            Registration RegistrationMade     "the hoster's operator"   "primary" Nothing;
    Hoster Activated            Rollback     RolledBack           "the hoster's operator"   "rollback" Nothing;
    Hoster RolledBack           Evidence     RolledBack           "the hoster's operator"   "evidence add" Evidence;
    Hoster Registered|RolledBack Primary Activated "the hoster's operator"   "primary" Nothing;
    Hoster RegistrationMade     Release      RegistrationReleased "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster ClosingMade          Release      ClosingReleased      "the hoster's operator, once officers have signed" "release" Nothing;
    Hoster ClosingReleased|Aborted|Closed Close Closed "the hoster's operator"   "close" Nothing;

    Tenant ReceiptTaken         Accept       AcceptanceMade       "the tenant's security officer" "accept" Registration;
    Tenant AcceptanceMade       Release      AcceptanceReleased   "the tenant's security officer, once officers have signed" "release" Nothing;
    Tenant AcceptanceReleased|Aborted Close Closed "the tenant's security officer" "close" Closing;

    Hoster ReceiptMade          Restart      Planned              "the hoster's operator"   "restart" Reason;
};

/// From wherever a side is, until the ceremony has ended. The phase of these two lines does not
/// matter.
pub const ABORT: &[Row] = table! {
    Hoster Planned              Abort        Aborted              "the hoster's operator"   "abort" Reason;
    Tenant Planned              Abort        Aborted              "the tenant's security officer" "abort" Reason;
};

/// What may happen to the service from its registration on, and after the ceremony has ended. The
/// phase stays as it is.
pub const SERVICE: &[Row] = &[
    service(Step::Evidence, "evidence add", Needs::Evidence),
    service(Step::Rollback, "rollback", Needs::Nothing),
    service(Step::Nodes, "nodes", Needs::Nodes),
    service(Step::Retire, "retire", Needs::Certificate),
];

const fn service(step: Step, words: &'static str, needs: Needs) -> Row {
    Row {
        side: Side::Hoster,
        phase: Phase::Registered,
        step,
        next: None,
        who: "the hoster's operator",
        words,
        needs,
    }
}
