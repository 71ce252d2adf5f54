//! `node prove`: on a host that uses the keys through PKCS#11, what Test-KeyferryNode.ps1 does on
//! Windows: the node's evidence.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::hoster::held::Question;
use crate::services::local::RegistryFile;
use crate::side::preflight::guard_unplanned;
use crate::side::token::{TokenArgs, require_tries_left};
use hsm::{Hsm, TargetKey};
use record::flow::Nodes;
use record::log::now;
use record::proof::key_set::certificate_file;
use record::service::{
    BRIEF_FILE, Brief, BriefKey, MAX_BRIEF, MAX_ORDER, NodeEvidence, NodeKey, Order, Statement,
    evidence_file,
};
use record::spki::{MAX_CERTIFICATE, TargetCertificate};
use record::{Error, Hash, Id, Program, Result, Role, Rule, Stage, folder};
use terminal::Asker;
use terminal::report::Report;

/// On the host itself: sign and answer with the keys, and write the evidence
#[derive(Args)]
pub struct NodeProve {
    /// The copy of the register/ folder
    #[arg(long, value_name = "FOLDER")]
    register: PathBuf,
    /// Which node this is
    #[arg(long, value_name = "NODE")]
    node: Id,
    /// What this machine is called [default: its host name]
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// The folder that the evidence is written to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

/// Makes the evidence of this host.
///
/// # Errors
/// `NODE-…`, `TARGET-…`, `PROOF-…`, `FILE-EXISTS`, `PIN-…`, or the HSM's.
pub fn prove(choice: &NodeProve, registry: &Path, args: &TokenArgs) -> Result<Report> {
    args.named()?;
    let (brief, brief_hash) = brief(&choice.register)?;
    let (stage, order) = turn(choice, &brief, brief_hash)?;
    let file = choice.out.join(evidence_file(&choice.node, stage));
    if file.exists() {
        return Err(folder::exists(&file));
    }
    let findings = guard_unplanned(brief.mode)?;
    let registry = RegistryFile::open(registry)?;
    let asker = Asker::new(brief.mode);
    let place = format!("{}/{}", choice.node, stage.name());
    let bytes = args.find_to_login(brief.mode, |_, token| {
        require_tries_left(token.pin_state()?)?;
        let hsm = args.login(&asker, token)?;
        let (keys, first) = node_keys(&hsm, &choice.register, &brief, &place)?;
        let statement = Statement {
            ceremony: brief.ceremony.clone(),
            plan_hash: brief.plan_hash,
            brief: brief_hash,
            order,
            node: choice.node.clone(),
            stage,
            machine: machine(choice.machine.as_deref())?,
            time: now()?,
            service_started: None,
            worker_started: None,
            account: format!("uid {}", rustix::process::getuid().as_raw()),
            service_account: None,
            program: format!("{} {}", Program::Hoster, env!("CARGO_PKG_VERSION")),
            keys,
            registered: registry.known(&brief.primaries()),
            primaries: registry.primaries(),
            diagnostics: None,
            diagnosis: None,
            published: None,
            findings,
        };
        NodeEvidence::make(&brief, &statement, |message| hsm.sign(&first, message))
    })?;
    folder::write_new(&file, &bytes)?;
    Ok(Report::new(format!("{place} has proven the keys."))
        .value("evidence", file.display().to_string())
        .value("SHA-256", Hash::of(&bytes).to_string()))
}

/// The proof of every key, and the first signing key.
fn node_keys(
    hsm: &Hsm,
    register: &Path,
    brief: &Brief,
    place: &str,
) -> Result<(Vec<NodeKey>, TargetKey)> {
    let question = Question {
        ids: (&brief.plan_hash, &brief.package_id),
        place,
        nonce: &brief.nonce,
        oaep: brief.oaep_hash,
    };
    let inventory = hsm.inventory()?;
    let (mut keys, mut first) = (Vec::new(), None);
    for key in &brief.keys {
        let certificate = certificate(register, key)?;
        let target = hsm.target_by_spki(&inventory, certificate.spki())?;
        keys.push(node_key(hsm, &question, key, &certificate, &target)?);
        if key.role == Role::Signing {
            first.get_or_insert(target);
        }
    }
    Ok((keys, first.ok_or_else(|| folder_error("no signing key", "a signing key"))?))
}

fn node_key(
    hsm: &Hsm,
    question: &Question,
    key: &BriefKey,
    certificate: &TargetCertificate,
    target: &TargetKey,
) -> Result<NodeKey> {
    let proof = match key.role {
        Role::Signing => question.sign(hsm, target, &key.label)?,
        Role::Encryption => {
            let challenge = key.challenge(question.place).ok_or_else(|| {
                let found = format!("no challenge of {} for {}", key.label, question.place);
                folder_error(&found, "one for each node and stage")
            })?;
            question.answer(hsm, target, &key.label, &challenge.ciphertext)?
        }
    };
    Ok(NodeKey {
        label: key.label.clone(),
        thumbprint: certificate.thumbprint(),
        certificate: Hash::of(certificate.der()),
        provider: format!("PKCS#11 {}", hsm.identity()),
        container: data_encoding::HEXLOWER.encode(&target.id),
        proof,
    })
}

/// The brief, and that the folder is the one that was written.
fn brief(register: &Path) -> Result<(Brief, Hash)> {
    let bytes = folder::read_file(&register.join(BRIEF_FILE), MAX_BRIEF)?;
    let brief: Brief = serde_json::from_slice(&bytes).map_err(|error| {
        folder_error(&format!("{BRIEF_FILE}: {error}"), "the file as `register` wrote it")
    })?;
    if brief.target != "local" {
        return Err(Error::usage(
            format!("`node prove` on a node of the target {}", brief.target),
            "run Test-KeyferryNode.ps1 of the register folder on that node",
        ));
    }
    Ok((brief, Hash::of(&bytes)))
}

fn certificate(register: &Path, key: &BriefKey) -> Result<TargetCertificate> {
    let name = certificate_file(&key.label);
    let der = folder::read_file(&register.join(&name), MAX_CERTIFICATE)?;
    let found = Hash::of(&der);
    if found != key.certificate.hash {
        return Err(folder_error(
            &format!("{name} with SHA-256 {found}"),
            &key.certificate.hash.to_string(),
        ));
    }
    TargetCertificate::parse(&der, key.label.as_str())
}

/// Which stage the node is at, by the newest order that lies in its folder.
fn turn(choice: &NodeProve, brief: &Brief, brief_hash: Hash) -> Result<(Stage, Option<Hash>)> {
    let mut orders = Vec::new();
    for name in folder::names(&choice.register)? {
        let numbered =
            name.split_once('-').is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        if !numbered || !name.ends_with(".json") {
            continue;
        }
        let bytes = folder::read_file(&choice.register.join(&name), MAX_ORDER)?;
        let order: Order = serde_json::from_slice(&bytes).map_err(|error| {
            folder_error(&format!("{name}: {error}"), "an order of this ceremony")
        })?;
        let as_given = order.hash()? == Hash::of(&bytes);
        if order.brief != brief_hash || order.file() != name || !as_given {
            return Err(folder_error(
                &format!("{name}, an order of another registration, name or form"),
                "orders of this ceremony",
            ));
        }
        orders.push(order);
    }
    orders.sort_by_key(|order| order.number);
    let nodes = Nodes { planned: brief.nodes.clone(), orders, ..Nodes::default() };
    Rule::NodeOrder.ensure(
        nodes.may_begin(&choice.node) && nodes.planned.contains(&choice.node),
        format!("no order that {} may begin", choice.node),
        "the first node of the plan, or one whose order lies in the folder",
        "add the evidence of the node before at the hoster's machine, and copy the new order of its register/ folder here",
    )?;
    Ok((nodes.stage(), nodes.standing().map(Order::hash).transpose()?))
}

fn machine(named: Option<&str>) -> Result<String> {
    let path = Path::new("/proc/sys/kernel/hostname");
    let name = match named {
        Some(name) => name.to_owned(),
        None => std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?,
    };
    let name = name.trim();
    match name.is_empty() || name.len() > 100 || name.contains(char::is_control) {
        true => Err(Error::usage(
            "a machine's name of no or more than 100 characters",
            "--machine NAME",
        )),
        false => Ok(name.to_owned()),
    }
}

fn folder_error(found: &str, expected: &str) -> Error {
    Rule::NodeFolder.refuse(
        record::escape::escape(found),
        expected,
        "copy the whole register/ folder from the hoster's machine again",
    )
}
