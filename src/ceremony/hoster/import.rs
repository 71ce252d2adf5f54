//! `package check`: the hoster takes the package before any custodian travels. `import`: a quorum opens
//! the seal, and the hoster's HSM unwraps every key inside itself.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::hoster::quorum::{self, PresentCustodians, ShareArgs, ShareInput};
use crate::hoster::{closing, held};
use crate::step::Sessions;
use crate::{Ceremony, Means, Run, StepIntent};
use custody::seal::SealKey;
use custody::share::Secret;
use hsm::wrapped_key::WrappedKey;
use hsm::{Beside, HosterKey, Hsm, ImportKey, ImportOrder};
use record::document::offer::Offer;
use record::document::package::{Package, PackagedKey};
use record::document::{Released, read};
use record::flow::Opened;
use record::log::{Event, KekRecord};
use record::plan::{KeyPlan, Plan};
use record::proof::key_set::KeySet;
use record::rule::Rule;
use record::terms::{Id, Kind, Side, Step, TransferRoute, list, list_or};
use record::{Error, Result, gate};
use terminal::Asker;
use terminal::report::Report;

/// Take the tenant's package, before any custodian travels
#[derive(Args)]
pub struct PackageCheck {
    /// The package/ folder
    package: PathBuf,
}

impl Run for PackageCheck {
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::PackageCheck)?;
        let package = ceremony.take::<Package>(&self.package)?;
        let ours = ceremony.state.kek.as_ref().map(|kek| kek.fingerprint);
        if Some(package.body().kek_fingerprint) != ours {
            return Err(Rule::DocumentContent.refuse(
                format!("a package for the KEK {}", package.body().kek_fingerprint),
                "a package for the KEK of this ceremony's offer",
                "stop: find out for whose KEK the tenant has wrapped its keys",
            ));
        }
        package.verify_keys()?;
        ceremony.keep(&package)?;
        ceremony.took(Event::package_check(&package, package.signatures.everyone()))?;
        let body = package.body();
        Ok(Report::new("The package is taken: it is the tenant's, whole, and for this KEK.")
            .value("package", package.hash.to_string())
            .value("package id", body.package_id.to_string())
            .value("keys", list(body.keys.iter().map(|key| &key.label)))
            .value("quorum", format!("{} of {}", body.threshold, body.shares.len())))
    }
}

/// The package that was taken, only if the folder given holds the very same.
///
/// # Errors
/// `PACKAGE-IMPORTED` after an import, `PHASE-ORDER`, `DOCUMENT-…` and `SIGNATURE-…` rules.
fn same(ceremony: &Ceremony, folder: &Path) -> Result<Released<Package>> {
    let state = &ceremony.state;
    let imported =
        state.way == TransferRoute::Carried && !state.keys.is_empty() && state.aborted.is_none();
    if !imported {
        ceremony.state.require(Step::Import)?;
    }
    let given = read::<Package>(folder, &ceremony.plan)?;
    if imported {
        return Err(Rule::PackageImported.refuse(
            format!(
                "the package {} after the import of {}",
                given.hash,
                ceremony.state.document(Kind::Package)?
            ),
            "one import",
            "run `status`: it shows the next step",
        ));
    }
    given
        .not_before(ceremony.state.seen_attempt)?
        .released(&ceremony.plan)?
        .being(ceremony.state.document(Kind::Package)?)
}

/// Open the seal with a quorum of custodians, and unwrap every key inside the HSM
#[derive(Args)]
pub struct Import {
    /// The package/ folder
    #[arg(required = false, required_unless_present = "format", conflicts_with = "format")]
    package: PathBuf,
    #[command(flatten)]
    shares: ShareArgs,
    #[command(flatten)]
    work: Sessions,
}

impl Run for Import {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        let find = |ceremony: &Ceremony| {
            let package = same(ceremony, &self.package)?;
            let offer = ceremony.sent::<Offer>()?;
            Ok((gate::Import::of(&ceremony.state)?, (package, offer)))
        };
        means.gated(ceremony, Step::Import, find, |ceremony, hsm, _, (package, offer)| {
            let opening = Opening {
                hsm,
                package: &package,
                kek: ceremony.state.kek_made()?,
                presented: &self.shares.0,
                sessions: self.work.count(),
                asker: means.asker,
            };
            opening.import(ceremony, &offer.body().spki.0)
        })
    }
}

/// An import that officers have signed for, and what it is done with.
struct Opening<'a> {
    hsm: &'a Hsm<'a>,
    package: &'a Released<Package>,
    kek: KekRecord,
    presented: &'a [ShareInput],
    sessions: usize,
    asker: &'a Asker,
}

impl Opening<'_> {
    /// Imports the package that was checked. Whatever was unwrapped and is not as planned is
    /// destroyed.
    fn import(&self, ceremony: &mut Ceremony, kek_spki: &[u8]) -> Result<Report> {
        let (hsm, package, asker) = (self.hsm, self.package, self.asker);
        let plan = ceremony.plan.clone();
        let set = KeySet::from(&**package);
        hsm.require(Side::Hoster, &plan)?;
        let labels = held::labels(&plan);
        let keys = held::wanted_of(ceremony, &labels, &set);
        let beside = hsm.beside(&keys)?;
        let (begun, arrived) = match settled(ceremony, hsm, beside, &keys)? {
            Some(arrived) => (ceremony.begin(Step::Import)?, arrived),
            None => {
                // The key that will unwrap is the one that was offered, as the HSM has it now; and
                // what can be found in the way of it is found before anybody opens a share.
                let waived = |rule| plan.waives(rule);
                hsm.kek_check(self.kek.id, kek_spki, plan.transfer.mechanism, &waived)?;
                let order = ImportOrder {
                    kek: self.kek.id,
                    kek_spki,
                    mechanism: plan.transfer.mechanism,
                    oaep: plan.transfer.oaep_hash,
                    sessions: self.sessions,
                };
                asker.progress("canary: unwrapping a throwaway key under the KEK");
                hsm.import_ready(&order, &[package.body().observed.kwp], &keys)?;
                self.unwrap_all(ceremony, &order, beside, &keys)?
            }
        };
        let KeyArrival { keys, custodians, spent } = arrived;
        asker.progress("proving that the HSM signs and decrypts as the tenant's keys");
        let opened = (custodians.clone(), spent.clone());
        let receipt = held::receipt(ceremony, hsm, &set, &keys, opened)?;
        let nameless = closing::nameless_left(ceremony, hsm)?;
        let made: Vec<bool> = keys.iter().map(|held| held.imported).collect();
        let document = ceremony.make(begun, receipt, Vec::new(), |document, receipt| {
            Event::import(document, receipt, package.body(), &made)
        })?;
        let report = Report::new("Every key is in the HSM, unreadable and not extractable, and proves itself.")
        .value("receipt", document.to_string())
        .value("opened by", list(&custodians))
        .value("spent", list(&spent))
        .line("An identity that was opened on this machine is spent: its holder makes a new one for the next ceremony.");
        Ok(closing::with_nameless(report, nameless))
    }

    /// Opens the seal with a quorum, then unwraps. The KEK was looked at first: custodians do not
    /// spend their identities on one that would be refused.
    fn unwrap_all(
        &self,
        ceremony: &mut Ceremony,
        order: &ImportOrder,
        beside: Beside,
        keys: &[ImportKey],
    ) -> Result<(StepIntent, KeyArrival)> {
        let plan = ceremony.plan.clone();
        let (package, asker, kek) = (self.package, self.asker, &self.kek);
        // An identity that was opened is spent, whatever follows: each is on record at once.
        let begun = ceremony.begin(Step::Import)?;
        let record = &mut |present: &PresentCustodians| ceremony.record(present.event()).map(drop);
        let gathered = quorum::gather(&plan, package.body(), self.presented, asker, record);
        let (secret, present) =
            gathered.map_err(|error| with_spent(error, ceremony.state.quorum.as_ref()))?;
        let PresentCustodians { custodians, spent, .. } = present;
        // Every seal is opened before anything is unwrapped: a wrong one changes nothing.
        let wrapped = open_seals(&plan, package, kek, &secret)?;
        drop(secret);
        let keys: Vec<_> = keys.iter().copied().zip(&wrapped).collect();
        let say = |label: &str| asker.progress(&format!("unwrapping {label}"));
        let keys = self.hsm.import(order, beside, &keys, &say)?;
        Ok((begun, KeyArrival { keys, custodians, spent }))
    }
}

/// Where people stopped, whose identity is spent all the same.
fn with_spent(error: Error, opened: Option<&Opened>) -> Error {
    match (error, opened.filter(|opened| opened.open)) {
        (Error::Ended { what }, Some(opened)) => Error::Ended {
            what: format!(
                "{what}. On record: {} presented a share; spent from now on is the identity of {}",
                list(&opened.custodians),
                list_or("nobody", &opened.spent)
            ),
        },
        (error, _) => error,
    }
}

/// Every key, in the HSM, and who opened the seal for it.
struct KeyArrival {
    keys: Vec<HosterKey>,
    custodians: Vec<Id>,
    spent: Vec<Id>,
}

/// What an interrupted import left whole: then no custodian is needed again.
fn settled(
    ceremony: &Ceremony,
    hsm: &Hsm,
    beside: Beside,
    wanted: &[ImportKey],
) -> Result<Option<KeyArrival>> {
    let Some(Opened { custodians, spent, .. }) = ceremony.state.quorum.clone() else {
        return Ok(None);
    };
    let inventory = hsm.inventory()?;
    let mut keys = Vec::new();
    for key in wanted {
        match hsm.import_find(&inventory, beside, key)? {
            Some(found) => keys.push(found),
            None => return Ok(None),
        }
    }
    Ok(Some(KeyArrival { keys, custodians, spent }))
}

fn open_seals(
    plan: &Plan,
    package: &Released<Package>,
    kek: &KekRecord,
    secret: &Secret,
) -> Result<Vec<WrappedKey>> {
    let open = |(key, planned): (&PackagedKey, &KeyPlan)| {
        let (package_id, label) = (&package.body().package_id, key.label.as_str());
        let seal_key = SealKey::derive(secret, package_id, &plan.hash(), &kek.fingerprint, label)?;
        let length = key.wrapped_length.try_into().map_err(Error::defect)?;
        let opened = seal_key.open(package.file(&key.sealed_file()), length)?;
        WrappedKey::parse(opened, plan.transfer.kek_bits, planned.key_type)
    };
    package.body().keys.iter().zip(&plan.keys).map(open).collect()
}
