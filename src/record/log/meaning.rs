//! What an entry means for the flow: whose result it is, which document it made, took or released.

use crate::log::{CloudExported, PlainImported, SourceDestroyed};
use crate::{Event, Hash, Kind, Signed, Step, TokenIdentity};

impl Event {
    /// How the log names it.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The step whose result this is, if it is one: it has the step's name.
    pub fn step(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == self.name())
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
        let document = match self {
            Event::Release { document, .. } => *document,
            // The closing's release was found before, or it came after an abort.
            Event::Close { .. } => return None,
            _ => self.took()?.1,
        };
        Some((document, self.signatures()))
    }

    /// Who signed what it is about, whatever that is.
    pub fn signatures(&self) -> &[Signed] {
        match self {
            Event::Init { signatures, .. }
            | Event::Approval { signatures, .. }
            | Event::Release { signatures, .. }
            | Event::OfferCheck { signatures, .. }
            | Event::PackageCheck { signatures, .. }
            | Event::KeysCheck { signatures, .. }
            | Event::Answer { signatures, .. }
            | Event::ReceiptCheck { signatures, .. }
            | Event::Accept { signatures, .. }
            | Event::KekDestroy { signatures, .. }
            | Event::AcceptanceCheck { signatures, .. } => signatures,
            Event::SourceDestroy(done) => &done.signatures,
            _ => &[],
        }
    }
}
