//! What a node proves, `<node>-<stage>.json`: a statement of the node, made by the service's
//! account and signed, inside the HSM, by the tenant's key. A name in it is a claim: whoever
//! reaches the key can sign any name.

use jiff::{SignedDuration, Timestamp};

use crate::encoding::enc;
use crate::proof::{KeyProof, Proof};
use crate::service::Brief;
use crate::{
    Blob, Error, FORMAT, Finding, Hash, Id, KeySet, Plan, PrimaryKey, Result, Role, Rule, Stage,
    escape, json_file, list, quote, shown, spki, strict_json,
};

/// The greatest size of a node's evidence, in bytes.
pub const MAX_EVIDENCE: u64 = 2 << 20;

/// The file of a node's evidence of one stage.
pub fn evidence_file(node: &Id, stage: Stage) -> String {
    format!("{node}-{}.json", stage.name())
}

/// What a node says of itself and its keys.
#[strict_json]
pub struct Statement {
    /// The ceremony's id.
    pub ceremony: Id,
    /// SHA-256 of the plan.
    pub plan_hash: Hash,
    /// SHA-256 of the brief that the node was given.
    pub brief: Hash,
    /// SHA-256 of the newest order that changes what is primary, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Hash>,
    /// The node.
    pub node: Id,
    /// The stage.
    pub stage: Stage,
    /// The machine's own name.
    pub machine: String,
    /// The machine's clock: UTC, RFC 3339.
    pub time: String,
    /// When the service was started, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_started: Option<String>,
    /// When the process was started that publishes for the service, where one runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_started: Option<String>,
    /// Who made the proofs.
    pub account: String,
    /// Who the service runs as, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// What made this, with its version or hash.
    pub program: String,
    /// The keys, in the plan's order.
    pub keys: Vec<NodeKey>,
    /// The certificates that the service knows, sorted.
    pub registered: Vec<String>,
    /// What is primary in the service now, sorted.
    pub primaries: Vec<PrimaryKey>,
    /// What the service's own diagnostics say, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
    /// What of the machine stands against production, where `node prove` made this: a claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The same, result by result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// The certificates that the node itself publishes as primary, where they were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

/// What a service's own diagnostics say, as they come: how a release names its checks is not
/// published.
#[strict_json]
pub struct Diagnosis {
    /// The type of the report.
    pub r#type: String,
    /// Its result over all.
    pub aggregate: String,
    /// Every result in it.
    pub results: Vec<CheckResult>,
    /// Errors and warnings of whatever collects.
    pub errors: Vec<String>,
}

/// A result in a report.
#[strict_json]
pub struct CheckResult {
    /// The names of its groups and its own, joined by ` / `.
    pub name: String,
    /// What it is, in the words of the report.
    pub result: String,
}

/// Certificates that a node publishes, each as base64 of its DER.
#[strict_json]
pub struct Published {
    /// The primary signing certificate.
    pub signing: Blob,
    /// The primary encryption certificate.
    pub encryption: Blob,
}

impl Diagnosis {
    /// Each thing in it that is not a plain Pass, by name; empty where all pass.
    fn unpassed(&self) -> Vec<String> {
        let passes = |result: &str| result == PASS;
        let whole = (!passes(&self.aggregate)).then(|| format!("the whole: {}", self.aggregate));
        let nothing = self.results.is_empty().then(|| "no results".to_owned());
        let results = self.results.iter().filter(|one| !passes(&one.result));
        let results = results.map(|one| format!("{}: {}", one.name, one.result));
        let errors = self.errors.iter().map(|error| format!("error: {error}"));
        whole.into_iter().chain(nothing).chain(results).chain(errors).collect()
    }
}

/// How far a node's clock may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// A result that nobody has to sign for.
const PASS: &str = "Pass";

/// One key, as the node uses it.
#[strict_json]
pub struct NodeKey {
    /// Its label in the plan.
    pub label: Id,
    /// SHA-1 of the certificate found, 40 upper-case hex characters.
    pub thumbprint: String,
    /// SHA-256 of the certificate found.
    pub certificate: Hash,
    /// How the node reaches the key.
    pub provider: String,
    /// What the key is called there.
    pub container: String,
    /// That the key signs, or decrypts, at this place.
    pub proof: KeyProof,
}

/// A node's evidence, not yet held against anything.
#[derive(Debug, Clone)]
pub struct NodeEvidence {
    /// What the node says.
    pub statement: Statement,
    /// SHA-256 of the file.
    pub hash: Hash,
    text: String,
    signature: Blob,
}

#[strict_json]
struct File {
    format: String,
    evidence: String,
    statement: String,
    signature: Blob,
}

/// What evidence is held against.
pub struct EvidenceContext<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The keys that it must use.
    pub keys: &'a KeySet,
    /// What the nodes were told.
    pub brief: &'a Brief,
}

impl Statement {
    /// Where the node has proven itself.
    pub fn place(&self) -> String {
        format!("{}/{}", self.node, self.stage.name())
    }

    /// What of the service's own diagnostics does not pass, which officers must have signed for.
    pub fn unpassed(&self) -> Vec<String> {
        self.diagnosis.as_ref().map_or(Vec::new(), Diagnosis::unpassed)
    }

    /// The same in a line for people, where there is any; not escaped.
    pub fn unpassed_line(&self) -> Option<String> {
        let unpassed = self.unpassed();
        (!unpassed.is_empty()).then(|| {
            let (place, unpassed) = (self.place(), unpassed.join("; "));
            format!("{place}: the service's own diagnostics there do not pass: {unpassed}")
        })
    }

    /// What the first signing key signs of a statement with this text.
    pub fn signed(brief: &Brief, text: &str) -> Vec<u8> {
        let text = Hash::of(text.as_bytes());
        let parts = [brief.plan_hash.as_bytes(), &brief.package_id.0, text.as_bytes()];
        enc(c"keyferry/1 node", &parts)
    }

    /// Refuses by a rule unless something holds of it.
    pub(super) fn ensure(
        &self,
        holds: bool,
        rule: Rule,
        found: &str,
        expected: impl Into<String>,
    ) -> Result<()> {
        rule.ensure(
            holds,
            escape(&format!("{}: {found}", self.place())),
            expected,
            "run the scripts of this ceremony's register/ folder on that node again, and bring its new evidence",
        )
    }
}

impl NodeEvidence {
    /// The file of a statement, signed by `sign`.
    ///
    /// # Errors
    /// What `sign` ends with.
    pub fn make(
        brief: &Brief,
        statement: &Statement,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let text = serde_json::to_string(statement).map_err(Error::encoding)?;
        json_file(&File {
            format: FORMAT.to_owned(),
            evidence: "node".into(),
            signature: Blob(sign(&Statement::signed(brief, &text))?),
            statement: text,
        })
    }

    /// Parses the file of this name.
    ///
    /// # Errors
    /// `EVIDENCE-FORMAT`.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let name = escape(name);
        let broken = |error: serde_json::Error| {
            Rule::EvidenceFormat.refuse(
                escape(&format!("{name}: {error}")),
                "a file that Test-KeyferryNode.ps1 or `node prove` wrote",
                "copy the file from the node again",
            )
        };
        let file: File = serde_json::from_slice(bytes).map_err(broken)?;
        let (format, evidence) = (quote(&file.format), quote(&file.evidence));
        Rule::EvidenceFormat.ensure(
            file.format == FORMAT && file.evidence == "node",
            escape(&format!("{name}: {format} {evidence}")),
            format!("{} \"node\"", quote(FORMAT)),
            "give the evidence of a node",
        )?;
        let statement: Statement = serde_json::from_str(&file.statement).map_err(broken)?;
        let started = statement.service_started.iter().chain(&statement.worker_started);
        for time in started.chain([&statement.time]) {
            Rule::EvidenceFormat.ensure(
                time.parse::<Timestamp>().is_ok(),
                escape(&format!("{name}: the time {}", quote(time))),
                "a time such as 2026-11-26T06:30:00Z",
                "set the node's clock and regional formats right, and let it prove itself again",
            )?;
        }
        let File { statement: text, signature, .. } = file;
        Ok(NodeEvidence { statement, hash: Hash::of(bytes), text, signature })
    }

    /// A node whose clock is ahead of that of whoever takes this would be believed to have waited.
    /// Both are compared by their seconds, as entries have them.
    ///
    /// # Errors
    /// `EVIDENCE-CLOCK`.
    pub fn not_ahead(&self, clock: Timestamp) -> Result<()> {
        let said = &self.statement;
        let there = said.time.parse::<Timestamp>().ok();
        let limit = clock.checked_add(AHEAD).ok();
        Rule::EvidenceClock.ensure(
            there.zip(limit).is_some_and(|(there, limit)| there.as_second() <= limit.as_second()),
            escape(&format!("{} says that it is {}", said.place(), said.time)),
            format!("not later than {clock}, when it is taken, and 10 minutes"),
            "set the clock that is wrong; a node with a wrong clock also fails its guarded hosts. Then let the node prove itself again",
        )
    }

    /// Whether the node has proven, at its place, that it uses the tenant's keys as its service
    /// needs them.
    ///
    /// # Errors
    /// `EVIDENCE-…` and `PROOF-…` rules, each naming node and stage.
    pub fn verify(&self, told: &EvidenceContext) -> Result<()> {
        self.signed(told)?;
        let (said, brief) = (&self.statement, told.brief.hash()?);
        let told_so = said.brief == brief
            && said.plan_hash == told.plan.hash()
            && said.ceremony == told.plan.ceremony;
        let found = format!("made for the registration {}", said.brief);
        said.ensure(told_so, Rule::EvidenceStage, &found, brief.to_string())?;
        let nodes = &told.brief.nodes;
        let known = nodes.contains(&said.node);
        said.ensure(known, Rule::EvidenceNode, "no node of the plan", list(nodes))?;
        self.keys(told)?;
        self.primaries(told.brief)?;
        for proof in self.proofs() {
            proof.verify(told.plan, told.keys)?;
        }
        super::check(&told.plan.target, said, told.brief)
    }

    /// Before activation none of the keys is primary; after it, they are, and nothing else is.
    fn primaries(&self, brief: &Brief) -> Result<()> {
        let (said, ours) = (&self.statement, brief.primaries());
        let (fits, expected) = match said.stage {
            Stage::Ready => (
                !said.primaries.iter().any(|key| ours.contains(key)),
                format!("none of {}", shown(&ours)),
            ),
            Stage::Active => (said.primaries == ours, shown(&ours)),
        };
        Rule::EvidencePrimary.ensure(
            fits,
            format!("{}: primary there is {}", escape(&said.place()), shown(&said.primaries)),
            expected,
            "look at the service on that node (Get-HgsKeyProtectionCertificate -IsPrimary $true, or the registry); mend it, and let the node prove itself again",
        )
    }

    /// The statement is signed by the tenant's key, in whatever hands that is.
    fn signed(&self, told: &EvidenceContext) -> Result<()> {
        let first = told.keys.signing_keys().next();
        let message = Statement::signed(told.brief, &self.text);
        let holds =
            first.is_some_and(|key| spki::verifies(&key.spki.0, &message, &self.signature.0));
        let place = escape(&self.statement.place());
        Rule::EvidenceSignature.ensure(
            holds,
            format!("the evidence of {place} is not signed by the tenant's key"),
            "a signature by the first signing key of this ceremony",
            "it was changed, or belongs to another ceremony: copy it from the node again, and note who carried it",
        )
    }

    fn keys(&self, told: &EvidenceContext) -> Result<()> {
        let (said, wanted) = (&self.statement, &told.brief.keys);
        let mut pairs = said.keys.iter().zip(wanted);
        let proven = said.keys.len() == wanted.len()
            && pairs.clone().all(|(key, told)| {
                let signs = matches!(key.proof, KeyProof::Signature(_));
                signs == (told.role == Role::Signing)
            });
        let differs = pairs.find(|(key, told)| {
            let found = (&key.label, &key.thumbprint, key.certificate);
            found != (&told.label, &told.thumbprint, told.certificate.hash)
        });
        let with =
            |label: &Id, thumbprint: &str| format!("{label} with the certificate {thumbprint}");
        let (what, wanted) = match differs {
            Some((key, told)) => {
                (with(&key.label, &key.thumbprint), with(&told.label, &told.thumbprint))
            }
            None => (
                format!("{} keys", said.keys.len()),
                format!("one proof of each of the {} keys", wanted.len()),
            ),
        };
        Rule::EvidenceCertificate.ensure(
            proven && differs.is_none(),
            escape(&format!("{}: {what}", said.place())),
            wanted,
            "install the certificates of this ceremony's register/ folder on that node, and let it prove again",
        )
    }

    /// The proof of each key, at this node's place.
    pub fn proofs(&self) -> impl Iterator<Item = Proof> {
        let place = self.statement.place();
        self.statement.keys.iter().map(move |key| Proof {
            label: key.label.clone(),
            place: place.clone(),
            evidence: key.proof.clone(),
        })
    }
}
