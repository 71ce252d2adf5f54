//! What an entry means for the flow: whose result it is, which document it made, took or released.

use crate::encoding::Hash;
use crate::log::{CloudExported, Event, PlainImported, SourceDestroyed};
use crate::signature::Signed;
use crate::terms::{Kind, Step, TokenIdentity};

impl Event {
    /// The step whose result this is, if it is one.
    pub fn step(&self) -> Option<Step> {
        Some(match self {
            Event::Init { .. } => Step::Init,
            Event::KekCreate { .. } => Step::KekCreate,
            Event::OfferCheck { .. } => Step::OfferCheck,
            Event::KekTrust { .. } => Step::KekTrust,
            Event::KeysCreate { .. } => Step::KeysCreate,
            Event::KeysCheck { .. } => Step::KeysCheck,
            Event::Answer { .. } => Step::Answer,
            Event::Export { .. } => Step::Export,
            Event::CloudExport(_) => Step::CloudExport,
            Event::ImportPlain(_) => Step::ImportPlain,
            Event::ShareConfirm { .. } => Step::ShareConfirm,
            Event::ShareReissue { .. } => Step::ShareReissue,
            Event::Release { .. } => Step::Release,
            Event::PackageCheck { .. } => Step::PackageCheck,
            Event::Import { .. } => Step::Import,
            Event::ReceiptCheck { .. } => Step::ReceiptCheck,
            Event::Register { .. } => Step::Register,
            Event::Evidence { .. } => Step::Evidence,
            Event::Primary { .. } => Step::Primary,
            Event::Registration { .. } => Step::Registration,
            Event::Rollback { .. } => Step::Rollback,
            Event::Nodes { .. } => Step::Nodes,
            Event::Retire { .. } => Step::Retire,
            Event::Accept { .. } => Step::Accept,
            Event::AcceptanceCheck { .. } => Step::AcceptanceCheck,
            Event::KekDestroy { .. } => Step::KekDestroy,
            Event::KeysDestroy { .. } => Step::KeysDestroy,
            Event::SourceDestroy(_) => Step::SourceDestroy,
            Event::Restart { .. } => Step::Restart,
            Event::Abort { .. } => Step::Abort,
            Event::Close { .. } => Step::Close,
            Event::Intent { .. }
            | Event::KekUntrust { .. }
            | Event::Quorum { .. }
            | Event::Approval { .. }
            | Event::Note { .. }
            | Event::Repair { .. }
            | Event::Refusal { .. }
            | Event::Preflight { .. } => return None,
        })
    }

    /// How the log names it.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Intent { .. } => "intent",
            Event::KekUntrust { .. } => "kek-untrust",
            Event::Quorum { .. } => "quorum",
            Event::Approval { .. } => "approval",
            Event::Note { .. } => "note",
            Event::Repair { .. } => "repair",
            Event::Refusal { .. } => "refusal",
            Event::Preflight { .. } => "preflight",
            _ => self.step().map_or("", Step::name),
        }
    }

    /// The token that the event names.
    pub fn token(&self) -> Option<&TokenIdentity> {
        match self {
            Event::KekCreate { token, .. }
            | Event::KekTrust { token, .. }
            | Event::KeysCreate { token, .. }
            | Event::Answer { token, .. }
            | Event::Export { token, .. }
            | Event::Import { token, .. }
            | Event::Retire { token, .. }
            | Event::CloudExport(CloudExported { token, .. })
            | Event::ImportPlain(PlainImported { token, .. })
            | Event::SourceDestroy(SourceDestroyed { token, .. }) => Some(token),
            _ => None,
        }
    }

    /// The document of this side that the event made, with its hash.
    pub fn made(&self) -> Option<(Kind, Hash)> {
        match self {
            Event::KekCreate { document, .. } => Some((Kind::Offer, *document)),
            Event::KeysCreate { document, .. } => document.map(|document| (Kind::Keys, document)),
            Event::ImportPlain(done) => Some((Kind::Keys, done.document)),
            Event::KeysCheck { document, .. } => Some((Kind::Challenge, *document)),
            Event::Export { document, .. } => Some((Kind::Package, *document)),
            Event::Import { document, .. } | Event::Answer { document, .. } => {
                Some((Kind::Receipt, *document))
            }
            Event::Registration { document } => Some((Kind::Registration, *document)),
            Event::Accept { document, .. } => Some((Kind::Acceptance, *document)),
            Event::KekDestroy { document, .. }
            | Event::AcceptanceCheck { document, .. }
            | Event::KeysDestroy { document, .. } => Some((Kind::Closing, *document)),
            _ => None,
        }
    }

    /// The document of the other side that the event took, with its hash.
    pub fn took(&self) -> Option<(Kind, Hash)> {
        match self {
            Event::OfferCheck { document, .. } => Some((Kind::Offer, *document)),
            Event::PackageCheck { document, .. } => Some((Kind::Package, *document)),
            Event::KeysCheck { taken, .. } => Some((Kind::Keys, *taken)),
            Event::Answer { challenge, .. } => Some((Kind::Challenge, *challenge)),
            Event::AcceptanceCheck { acceptance, .. } => Some((Kind::Acceptance, *acceptance)),
            Event::ReceiptCheck { document, .. } => Some((Kind::Receipt, *document)),
            Event::Accept { registration, .. } => Some((Kind::Registration, *registration)),
            Event::KekDestroy { acceptance, .. } => {
                acceptance.map(|acceptance| (Kind::Acceptance, acceptance))
            }
            Event::SourceDestroy(done) => Some((Kind::Closing, done.closing)),
            Event::Close { closing, .. } => closing.map(|closing| (Kind::Closing, closing)),
            _ => None,
        }
    }

    /// The document whose release the event records, or found, and who released it.
    pub fn released(&self) -> Option<(Hash, &[Signed])> {
        Some(match self {
            Event::Release { document, signatures, .. }
            | Event::OfferCheck { document, signatures, .. }
            | Event::PackageCheck { document, signatures, .. }
            | Event::ReceiptCheck { document, signatures } => (*document, signatures),
            Event::KeysCheck { taken: document, signatures, .. }
            | Event::Answer { challenge: document, signatures, .. }
            | Event::AcceptanceCheck { acceptance: document, signatures, .. }
            | Event::Accept { registration: document, signatures, .. } => (*document, signatures),
            Event::SourceDestroy(done) => (done.closing, &done.signatures),
            Event::KekDestroy { acceptance, signatures, .. } => ((*acceptance)?, signatures),
            _ => return None,
        })
    }
}
