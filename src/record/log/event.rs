//! What an entry of the log says: one variant per step, and what people or accidents add.

use crate::log::record::{
    ChangedShare, CloudExported, Fetched, KekRecord, KeyRecord, PlainImported, ShareFile,
    SourceDestroyed,
};
use crate::{
    AttestationLevel, Finding, Gate, Hash, Id, Kind, Mode, Observed, Originals, PackageId,
    PrimaryKey, ReadBack, Remark, Rule, Side, Signed, Stage, Step, TokenIdentity, TransferRoute,
    strict_json,
};

/// An event, with what it proves by hashes. Steps that touch an HSM or make a document have an
/// `intent` before them; their own event is the result.
#[strict_json]
#[derive(strum::IntoStaticStr)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Event {
    /// The plan was agreed: its words typed, its signatures verified.
    Init {
        /// The ceremony's id.
        ceremony: Id,
        /// Rehearsal or production.
        mode: Mode,
        /// Whose log this is.
        side: Side,
        /// SHA-256 of the plan.
        plan: Hash,
        /// How keys come to where they are used; carried where nothing is said.
        #[serde(default, skip_serializing_if = "TransferRoute::is_usual")]
        way: TransferRoute,
        /// What the plan waives.
        waived: Vec<Rule>,
        /// Who signed the plan.
        signatures: Vec<Signed>,
        /// The version of Keyferry.
        version: String,
        /// The head of the aborted ceremony's log that this plan supersedes, where it was shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded: Option<Hash>,
        /// The closing of the trial that the plan names, where its record was shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trial: Option<Hash>,
    },
    /// Enough officers have signed for what is about to happen.
    Approval {
        /// Which gate.
        gate: Gate,
        /// SHA-256 of the request's subject, as compact JSON.
        subject: Hash,
        /// SHA-256 of the request.
        request: Hash,
        /// Who signed.
        signatures: Vec<Signed>,
    },
    /// A step is about to touch an HSM or make a document.
    Intent {
        /// The step.
        step: Step,
        /// The attempt; one more than before where an export was abandoned.
        attempt: u32,
    },
    /// The KEK is there and the offer is made.
    KekCreate {
        /// SHA-256 of the offer.
        document: Hash,
        /// The KEK.
        kek: KekRecord,
        /// The token it is in.
        token: TokenIdentity,
        /// What unwrapping was seen to do.
        observed: Observed,
        /// The attributes as read back.
        attributes: Vec<ReadBack>,
        /// Rules that the token can't keep and the plan waives.
        waived: Vec<Rule>,
        /// The level of attestation that was reached.
        attested: AttestationLevel,
    },
    /// The offer was taken: its words typed, its signatures verified.
    OfferCheck {
        /// SHA-256 of the offer.
        document: Hash,
        /// The offer's attempt.
        attempt: u32,
        /// SHA-256 of the KEK's SubjectPublicKeyInfo.
        fingerprint: Hash,
        /// The level of attestation that was reached.
        attested: AttestationLevel,
        /// Who released it.
        signatures: Vec<Signed>,
    },
    /// The tenant's HSM trusts the KEK: its security officer has made the public half a trusted
    /// key.
    KekTrust {
        /// The KEK, by the CKA_ID of its trusted half.
        kek: KekRecord,
        /// The token.
        token: TokenIdentity,
        /// The attributes as read back.
        attributes: Vec<ReadBack>,
    },
    /// The trusted KEK is gone from the tenant's HSM again.
    KekUntrust {
        /// The KEK, by the CKA_ID of its trusted half.
        kek: KekRecord,
    },
    /// Every target key is there, with its certificate.
    KeysCreate {
        /// SHA-256 of `keys`, where they were born at the hoster.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document: Option<Hash>,
        /// There, the level of attestation that was reached.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attested: Option<AttestationLevel>,
        /// The token they are in.
        token: TokenIdentity,
        /// The keys, in the plan's order.
        keys: Vec<KeyRecord>,
    },
    /// Keys that were born at the hoster are taken, their words typed, and the challenge is made.
    KeysCheck {
        /// SHA-256 of the challenge.
        document: Hash,
        /// SHA-256 of `keys`.
        taken: Hash,
        /// The attempt of `keys`.
        attempt: u32,
        /// The fingerprint whose words were typed.
        fingerprint: Hash,
        /// The identity of the challenge.
        package_id: PackageId,
        /// The keys, in the plan's order.
        keys: Vec<KeyRecord>,
        /// The level of attestation that was reached.
        attested: AttestationLevel,
        /// Who released `keys`.
        signatures: Vec<Signed>,
    },
    /// The hoster's HSM has answered the challenge, and the receipt is made.
    Answer {
        /// SHA-256 of the receipt.
        document: Hash,
        /// SHA-256 of the challenge.
        challenge: Hash,
        /// The challenge's attempt.
        attempt: u32,
        /// The identity of the challenge.
        package_id: PackageId,
        /// The token that the keys are in.
        token: TokenIdentity,
        /// Who released the challenge.
        signatures: Vec<Signed>,
    },
    /// The package and the shares are made.
    Export {
        /// SHA-256 of the package.
        document: Hash,
        /// The identity of this export.
        package_id: PackageId,
        /// SHA-256 of the KEK's SubjectPublicKeyInfo.
        fingerprint: Hash,
        /// What wrapping was seen to do with a throwaway key.
        observed: Observed,
        /// The token that wrapped.
        token: TokenIdentity,
        /// The share files, in the order of the custodians.
        shares: Vec<ShareFile>,
    },
    /// Every key is wrapped for the KEK of a cloud service.
    CloudExport(CloudExported),
    /// Keys that another tool has wrapped are in the hoster's HSM, and `keys` is made.
    ImportPlain(PlainImported),
    /// A custodian has shown that the share they hold is the right one.
    ShareConfirm {
        /// Who.
        custodian: Id,
        /// Whether it was their deputy.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deputy: bool,
    },
    /// A custodian was given the same share file again.
    ShareReissue {
        /// Who.
        custodian: Id,
        /// SHA-256 of the share file.
        file: Hash,
    },
    /// A document of this side was released.
    Release {
        /// Which.
        kind: Kind,
        /// SHA-256 of it.
        document: Hash,
        /// By whom.
        signatures: Vec<Signed>,
    },
    /// The package was taken: its signatures, hashes and sizes verified.
    PackageCheck {
        /// SHA-256 of the package.
        document: Hash,
        /// The package's attempt.
        attempt: u32,
        /// The identity of the export.
        package_id: PackageId,
        /// Who released it.
        signatures: Vec<Signed>,
    },
    /// A quorum has opened the seal; what follows unwraps.
    Quorum {
        /// The custodians who gave their shares.
        custodians: Vec<Id>,
        /// Those of them whose identity was opened on this machine, and so is spent.
        spent: Vec<Id>,
        /// Those of them whose deputy came, as far as the identity tells.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deputies: Vec<Id>,
        /// Their share files that were changed on the way.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<ChangedShare>,
    },
    /// Every key is in the hoster's HSM and the receipt is made.
    Import {
        /// SHA-256 of the receipt.
        document: Hash,
        /// The token they are in.
        token: TokenIdentity,
        /// The keys, in the plan's order.
        keys: Vec<KeyRecord>,
    },
    /// The receipt was taken: its signatures and proofs verified.
    ReceiptCheck {
        /// SHA-256 of the receipt.
        document: Hash,
        /// Who released it.
        signatures: Vec<Signed>,
    },
    /// The service knows the keys, or its nodes are told how to make them known; they are not
    /// primary.
    Register {
        /// SHA-256 of the brief, which every node is given.
        brief: Hash,
        /// The kind of target.
        target: String,
        /// The nodes, in the order in which they are made ready.
        nodes: Vec<Id>,
    },
    /// A node has proven itself.
    Evidence {
        /// The node.
        node: Id,
        /// Before or after activation.
        stage: Stage,
        /// SHA-256 of its evidence.
        evidence: Hash,
        /// The machine that made it, by its own word.
        machine: String,
        /// When, by the node's clock.
        proved: String,
        /// What of the service's own diagnostics does not pass: officers have signed for it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unpassed: Vec<String>,
    },
    /// The keys are primary, or may become so: their order is given.
    Primary {
        /// SHA-256 of the order.
        order: Hash,
        /// What was primary before.
        former: Vec<PrimaryKey>,
    },
    /// Every node has proven itself with the keys primary, and the registration is made.
    Registration {
        /// SHA-256 of the registration.
        document: Hash,
    },
    /// What was primary before becomes so again: its order is given.
    Rollback {
        /// SHA-256 of the order.
        order: Hash,
    },
    /// Nodes have left the service, or are other machines now.
    Nodes {
        /// Those that have left for good.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<Id>,
        /// Those that must prove themselves anew.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaced: Vec<Id>,
    },
    /// A former key is no longer in the hoster's HSM.
    Retire {
        /// SHA-1 of its certificate, 40 upper-case hex characters.
        thumbprint: String,
        /// SHA-256 of its SubjectPublicKeyInfo.
        spki: Hash,
        /// The token that was searched.
        token: TokenIdentity,
    },
    /// The registration was taken: its signatures and proofs verified; the acceptance is made.
    Accept {
        /// SHA-256 of the acceptance.
        document: Hash,
        /// SHA-256 of the registration.
        registration: Hash,
        /// Who released the registration.
        signatures: Vec<Signed>,
        /// What nodes published, as the acceptance carries it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        metadata: Vec<Fetched>,
    },
    /// The KEK is gone and the closing is made.
    KekDestroy {
        /// SHA-256 of the closing.
        document: Hash,
        /// SHA-256 of the acceptance; absent after an abort.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acceptance: Option<Hash>,
        /// SHA-256 of the KEK's SubjectPublicKeyInfo.
        fingerprint: Hash,
        /// Imported keys that were destroyed with it, after an abort.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<Id>,
        /// Who released the acceptance; nobody after an abort.
        signatures: Vec<Signed>,
    },
    /// The acceptance is taken, and the closing is made: keys that were born at the hoster leave
    /// nothing to destroy.
    AcceptanceCheck {
        /// SHA-256 of the closing.
        document: Hash,
        /// SHA-256 of the acceptance.
        acceptance: Hash,
        /// Who released it.
        signatures: Vec<Signed>,
    },
    /// After an abort the keys that were born at the hoster are gone, and the closing is made.
    KeysDestroy {
        /// SHA-256 of the closing.
        document: Hash,
        /// Those that were there.
        keys: Vec<Id>,
    },
    /// The tenant's originals are gone, as the plan wants it.
    SourceDestroy(SourceDestroyed),
    /// Another attempt has begun; what the last one made in the HSM is gone.
    Restart {
        /// The attempt that begins.
        attempt: u32,
        /// Why, in people's words.
        reason: String,
    },
    /// The ceremony has ended without its aim.
    Abort {
        /// Why, in people's words.
        reason: String,
        /// What was still there to be destroyed when somebody looked.
        left: Vec<String>,
    },
    /// The ceremony is closed on this side; the last entry.
    Close {
        /// How many entries the log has, this one included.
        count: u64,
        /// SHA-256 of the closing, where this side received it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closing: Option<Hash>,
        /// What became of the tenant's originals, where there are any and the tenant has accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Originals>,
    },
    /// What people put into the record.
    Note {
        /// What they say.
        remark: Remark,
    },
    /// The last line was cut off by a crash, and was removed.
    Repair {
        /// How many bytes were removed.
        bytes: u64,
        /// SHA-256 of them.
        hash: Hash,
    },
    /// A rule refused.
    Refusal {
        /// The rule.
        rule: Rule,
        /// What was found.
        found: String,
    },
    /// What was found of the machine, the programs and the token.
    Preflight {
        /// Each rule that was looked at.
        findings: Vec<Finding>,
    },
}
