//! Every parser of bytes that come from outside, each as a function from bytes to taken or refused.
//! Whatever the bytes: no panic, no endless loop, no gigabyte. libFuzzer drives them (`target.rs`),
//! and proptest on a stable compiler (`tests/record/parsers`).

use std::{cell::RefCell, collections::BTreeMap, fs, path::Path, sync::OnceLock};

use ceremony::brought;
use custody::{
    codes::{frames, lines},
    custodian,
    share::Share,
};
use hsm::wrapped_key::WrappedKey;
use probe::Probe;
use record::{
    Result, attestation,
    document::{
        self, Body, acceptance::Acceptance, challenge::Challenge, closing::Closing,
        keys::TargetKeys, offer::Offer, package::Package, receipt::Receipt,
        registration::Registration,
    },
    encoding::Hash,
    log,
    plan::Plan,
    service::{NodeEvidence, local::Registry, metadata::Metadata},
    signature::{self, Namespace, SignatureFile},
    spki,
    terms::{KeyType, Side, Usage},
};

/// A parser, and the seed of its own that it takes.
pub struct Parser {
    /// What it reads; its fuzz target is named so, and its seeds lie in a folder of this name.
    pub name: &'static str,
    /// The file of the seed.
    pub seed: &'static str,
    take: fn(&[u8]) -> Result<()>,
}

impl Parser {
    /// Reads the bytes.
    ///
    /// # Errors
    /// Whatever refuses them.
    pub fn take(&self, bytes: &[u8]) -> Result<()> {
        (self.take)(bytes)
    }
}

const fn parser(name: &'static str, seed: &'static str, take: fn(&[u8]) -> Result<()>) -> Parser {
    Parser { name, seed, take }
}

/// All of them.
pub static PARSERS: [Parser; 26] = [
    parser("plan", "ceremony.toml", |bytes| {
        Plan::parse(bytes.to_vec()).map(drop).map_err(Into::into)
    }),
    parser("offer", "offer.json", document::<Offer>),
    parser("package", "package.json", document::<Package>),
    parser("keys", "keys.json", document::<TargetKeys>),
    parser("challenge", "challenge.json", document::<Challenge>),
    parser("receipt", "receipt.json", document::<Receipt>),
    parser("registration", "registration.json", document::<Registration>),
    parser("acceptance", "acceptance.json", document::<Acceptance>),
    parser("closing", "closing.json", document::<Closing>),
    parser("log", "log.jsonl", |bytes| {
        log::entries(bytes, "the log").try_for_each(|entry| entry.map(drop))
    }),
    parser("share-record", "record", |bytes| Share::from_record(bytes).map(drop)),
    parser("share-text", "share", |bytes| Share::parse(bytes).map(drop)),
    parser("share-file", "cyd.age", |bytes| {
        let identity = fs::read(seeds("share-file").join("cyd.identity")).unwrap();
        let ask: custodian::Ask = &|_| Ok(Default::default());
        let dealt = fs::read(seeds("share-file").join("cyd.age")).unwrap();
        // An identity file is foreign too.
        custodian::open_share(bytes, &identity, ask)
            .or_else(|_| custodian::open_share(&dealt, bytes, ask))
            .map(drop)
    }),
    parser("frames", "frames", |bytes| {
        let mut read = frames::ScannedFrames::default();
        for frame in String::from_utf8_lossy(bytes).lines() {
            read.add(frame)?;
        }
        read.finish().map(drop)
    }),
    parser("typed-lines", "lines", |bytes| {
        let mut typed = lines::TypedLines::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            typed.take(line)?;
            if typed.is_whole() {
                break;
            }
        }
        typed.finish().map(drop)
    }),
    parser("wrapped-key", "wrapped", |bytes| {
        WrappedKey::parse(bytes.to_vec(), 3072, KeyType::Rsa(2048)).map(drop)
    }),
    parser("certificate", "hgs-signing.crt", |bytes| {
        spki::TargetCertificate::parse(bytes, "hgs-signing").map(drop)
    }),
    parser("public-key", "spki", |bytes| {
        let key = spki::PublicKey::parse(bytes);
        key.map(drop).map_err(|found| record::Error::failed(found, ""))
    }),
    parser("brought", "chain.pem", |bytes| {
        let parsed = brought::parse(bytes).map(drop);
        parsed.map_err(|found| record::Error::failed(found.found, found.remedy))
    }),
    parser("signature", "ceremony.toml.ada.sig", |bytes| {
        let plan = plan("plan");
        let file = SignatureFile {
            path: "ceremony.toml.ada.sig".into(),
            signer: "ada".into(),
            bytes: bytes.to_vec(),
        };
        let message = plan.bytes();
        signature::verify(plan, Side::Tenant, Namespace::Plan, message, &[file]).map(drop)
    }),
    parser("metadata", "metadata.xml", |bytes| {
        let metadata = Metadata::parse(bytes, "node1")?;
        // A refusal, which names the certificates that were found.
        let _ = metadata.compare(b"", b"");
        Ok(())
    }),
    parser("evidence", "node1-ready.json", |bytes| {
        NodeEvidence::parse(bytes, "node1-ready.json").map(drop)
    }),
    parser("probe", "probe.json", |bytes| {
        in_a_file("probe.json", bytes, |path| Probe::read(path).map(drop))
    }),
    parser("attestation", "chain.pem", |bytes| {
        let seeds = seeds("attestation");
        let root: Hash = fs::read_to_string(seeds.join("root")).unwrap().parse().unwrap();
        let spki = fs::read(seeds.join("spki")).unwrap();
        let usage = Usage { sign: true, decrypt: false };
        let purpose = attestation::Purpose::Target(usage);
        let at = "2027-06-01T00:00:00Z".parse().unwrap();
        attestation::judge(bytes, &spki, purpose, at, &[root]).map(drop)
    }),
    parser("registry", "registry.json", |bytes| {
        Registry::parse(Path::new("registry.json"), bytes).map(drop)
    }),
    parser("show", "request.json", |bytes| {
        in_a_file("any", bytes, |path| show::show(path, show::Language::English, &mut Vec::new()))
    }),
];

/// Where a parser's seeds lie.
pub fn seeds(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(match env!("CARGO_PKG_NAME") {
            "keyferry-fuzz" => "seeds",
            _ => "fuzz/seeds",
        })
        .join(name)
}

fn plan(seed: &str) -> &'static Plan {
    static CARRIED: OnceLock<Plan> = OnceLock::new();
    static BORN: OnceLock<Plan> = OnceLock::new();
    let of = if seed == "born" { &BORN } else { &CARRIED };
    of.get_or_init(|| {
        let bytes = fs::read(seeds(seed).join("ceremony.toml")).unwrap();
        Plan::parse(bytes).expect("a seed that is a plan")
    })
}

thread_local! {
    /// Folders, made once: of each document, with the seed's other files, and one for single files.
    static MEDIA: RefCell<BTreeMap<String, tempfile::TempDir>> = RefCell::default();
}

/// Puts the bytes into a file of a folder, and has it read.
fn on_medium(
    name: &str,
    file: &str,
    bytes: &[u8],
    read: &dyn Fn(&Path) -> Result<()>,
) -> Result<()> {
    MEDIA.with_borrow_mut(|media| {
        let folder = media.entry(name.to_owned()).or_insert_with(|| {
            let folder = tempfile::tempdir().unwrap();
            for file in fs::read_dir(seeds(name)).into_iter().flatten() {
                let file = file.unwrap();
                fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
            }
            folder
        });
        fs::write(folder.path().join(file), bytes).unwrap();
        read(folder.path())
    })
}

/// A document on a medium whose other files are those of the seed.
fn document<B: Body>(bytes: &[u8]) -> Result<()> {
    let name = B::KIND.to_string();
    let born = ["keys", "challenge"].contains(&name.as_str());
    let plan = plan(if born { "born" } else { "plan" });
    on_medium(&name, &B::KIND.file(), bytes, &|folder| {
        document::read::<B>(folder, plan)?.released(plan).map(drop)
    })
}

/// What reads a file by its path.
fn in_a_file(name: &str, bytes: &[u8], read: impl Fn(&Path) -> Result<()>) -> Result<()> {
    on_medium("files", name, bytes, &|folder| read(&folder.join(name)))
}
