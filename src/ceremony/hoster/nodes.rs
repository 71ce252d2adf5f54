//! `nodes`: a node leaves the service, or another machine takes its place, also after the ceremony
//! has ended. `retire`: a former key is gone.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Ceremony, Means, Run, approval};
use hsm::Hsm;
use record::command::with_commands;
use record::log::Event;
use record::rule::Rule;
use record::spki::{MAX_CERTIFICATE, TargetCertificate};
use record::terms::{Id, Stage, Step, list_or};
use record::{Error, Result, folder, gate};
use terminal::report::Report;

/// Take nodes out of the service, or put other machines in their place, once officers have
/// signed for it
#[derive(Args)]
pub struct Nodes {
    /// A node that leaves for good
    #[arg(long, value_name = "NODE")]
    remove: Vec<Id>,
    /// A node whose place another machine takes
    #[arg(long, value_name = "NODE")]
    replace: Vec<Id>,
}

impl Run for Nodes {
    /// Takes nodes out, and lets others prove themselves anew.
    fn run(&self, ceremony: &mut Ceremony, _: &Means) -> Result<Report> {
        ceremony.state.require(Step::Nodes)?;
        let subject = subject(ceremony, &self.remove, &self.replace)?;
        approval::require(ceremony, &subject)?;
        ceremony.ordered(Event::Nodes { removed: subject.removed, replaced: subject.replaced })?;
        Ok(Report::new("The nodes of the service are changed.")
            .value("removed", list_or("none", &self.remove))
            .value("replaced", list_or("none", &self.replace))
            .value("nodes", list_or("none", &subject.stay))
            .line("A machine that has left must not reach the HSM any more: see to it, and note it.")
            .line("A machine that takes a place proves itself under that node's name, with a copy of the register/ folder."))
    }
}

/// What officers sign for.
fn subject(ceremony: &Ceremony, removed: &[Id], replaced: &[Id]) -> Result<gate::Nodes> {
    let nodes = &ceremony.state.nodes;
    let current: Vec<Id> = nodes.current().cloned().collect();
    let all = removed.iter().chain(replaced);
    let (count, mut named) = (all.clone().count(), all.collect::<Vec<_>>());
    named.sort();
    named.dedup();
    let usage = |what: String| Error::Usage {
        what,
        remedy: with_commands(
            "`{hoster nodes --remove NODE}`, or with --replace NODE: each a node that has not left; one at least stays",
        ),
    };
    if let Some(other) = named.iter().find(|node| !current.contains(node)) {
        return Err(usage(format!("{other} is no node of this service now")));
    }
    if named.is_empty() || named.len() < count {
        return Err(usage("no node, or one twice".into()));
    }
    let subject = gate::Nodes::of(nodes, removed, replaced);
    match subject.stay.is_empty() {
        true => Err(usage("no node would stay".into())),
        false => Ok(subject),
    }
}

/// Show and record that a former key is in this HSM no more
#[derive(Args)]
pub struct Retire {
    /// Its certificate
    certificate: PathBuf,
}

impl Run for Retire {
    fn run(&self, ceremony: &mut Ceremony, means: &Means) -> Result<Report> {
        means.in_hsm(ceremony, Step::Retire, |ceremony, hsm| {
            retire(ceremony, hsm, &self.certificate)
        })
    }
}

/// Looks that a former key is no longer in the HSM, and records it.
fn retire(ceremony: &mut Ceremony, hsm: &Hsm, certificate: &Path) -> Result<Report> {
    let der = folder::read_file(certificate, MAX_CERTIFICATE)?;
    let name = certificate.display().to_string();
    let former = TargetCertificate::parse(&der, &name)?;
    require_not_primary(ceremony, &former)?;
    if let Some(id) = hsm.private_keys(&hsm.inventory()?, former.spki())?.first() {
        return Err(Rule::TargetGone.refuse(
            format!("the private key of {name} is in {}, under the CKA_ID {id}", hsm.identity().label),
            "no private key of it",
            "once no virtual machine needs it (docs/hgs.md), delete it with the vendor's tool, in the HSM, its clones and backups; then run this again",
        ));
    }
    let (thumbprint, spki) = (former.thumbprint(), record::encoding::Hash::of(former.spki()));
    ceremony.ordered(Event::Retire {
        thumbprint: thumbprint.clone(),
        spki,
        token: hsm.identity().clone(),
    })?;
    Ok(Report::new("The former key is not in this HSM; that is on record.")
        .value("thumbprint", thumbprint)
        .value("SPKI", spki.to_string())
        .line("Clones and backups are not seen from here."))
}

/// No node says that the key is primary, and no order makes it so.
fn require_not_primary(ceremony: &Ceremony, former: &TargetCertificate) -> Result<()> {
    let ready = ceremony.evidence(Stage::Ready)?;
    let ready = ready.iter().map(|(one, _)| one);
    let primary = ceremony.state.nodes.primaries(ceremony.brief()?.0.primaries(), ready);
    let primary = primary.ok_or_else(|| not_retired("nobody has yet shown what is primary"))?;
    let thumbprint = former.thumbprint();
    match primary.iter().find(|key| key.thumbprint == thumbprint) {
        None => Ok(()),
        Some(_) => Err(not_retired(&format!("{thumbprint} is primary"))),
    }
}

fn not_retired(found: &str) -> Error {
    Rule::TargetPrimary.refuse(
        found,
        "a key that is primary no more, as nodes have shown",
        "make other keys primary first, and let every node prove it",
    )
}
