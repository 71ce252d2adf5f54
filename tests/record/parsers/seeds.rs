//! The seeds, from two ceremonies on a stage and from OpenSSL. Their keys and shares serve nothing
//! else.

use std::{fs, path::Path, process::Command};

use super::{
    pki::{self, Leaf, Pki},
    targets::seeds,
};
use crate::common::{
    run,
    simulated::{ready, registered, simulated},
    stage::{DOCUMENTS, Done, Setting, Stage},
};
use custody::{
    codes::{frames, lines},
    custodian,
};

pub fn write() {
    let mut stage = Stage::with(Setting { hgs: true, ..Setting::default() }, |plan| plan);
    ready(&mut stage);
    registered(&mut stage);
    stage.walk_to(Done::TenantClose);
    for kind in DOCUMENTS {
        copy(&stage.path(&format!("medium/{kind}")), &seeds(kind));
    }
    let mut born = Stage::with(Setting::born(), |plan| plan);
    born.walk_to(Done::Import);
    for kind in ["keys", "challenge"] {
        copy(&born.path(&format!("medium/{kind}")), &seeds(kind));
    }
    let mut local = Stage::with(Setting::default(), |plan| plan);
    local.walk_to(Done::Registration);
    let file = |from: &Stage, path: &str, parser: &str, name: &str| {
        put(parser, name, &fs::read(from.path(path)).unwrap());
    };
    file(&born, "plan/ceremony.toml", "born", "ceremony.toml");
    file(&stage, "plan/ceremony.toml", "plan", "ceremony.toml");
    file(&stage, "plan/ceremony.toml.ada.sig", "signature", "ceremony.toml.ada.sig");
    file(&stage, "hoster/log.jsonl", "log", "log.jsonl");
    file(&local, "hoster/registry.json", "registry", "registry.json");
    file(&stage, "medium/node1-ready.json", "evidence", "node1-ready.json");
    file(&stage, "tenant/keys/hgs-signing.crt", "certificate", "hgs-signing.crt");
    let request = stage.request("hoster", "import");
    put("show", "request.json", &fs::read(request).unwrap());
    put("probe", "probe.json", &fs::read(stage.probe("tenant")).unwrap());
    put("metadata", "metadata.xml", simulated(&stage, &["metadata"]).as_bytes());
    let spki = ["x509", "-inform", "DER", "-pubkey", "-noout", "-in"];
    let pem =
        run(Command::new("openssl").args(spki).arg(stage.path("tenant/keys/hgs-signing.crt")));
    fs::write(stage.path("public.pem"), pem).unwrap();
    let der = ["pkey", "-pubin", "-outform", "DER", "-in"];
    let spki = run(Command::new("openssl").args(der).arg(stage.path("public.pem")));
    put("public-key", "spki", &spki);
    // Of its size; what is in it only the HSM can tell.
    put("wrapped-key", "wrapped", &[0x5a; 384 + 1232]);
    share(&stage);
    attestation(&spki);
}

fn share(stage: &Stage) {
    let file = fs::read(stage.path("tenant/outbox/shares/cyd.age")).unwrap();
    let identity = fs::read(stage.path("people/cyd.identity")).unwrap();
    let opened = custodian::open_share(&file, &identity, &|_| Ok(Default::default())).unwrap();
    put("share-file", "cyd.age", &file);
    put("share-file", "cyd.identity", &identity);
    put("share-record", "record", opened.share.record().as_ref());
    put("share-text", "share", opened.share.text().as_bytes());
    let frames = frames::frames(&[("cyd.age".into(), file)]).unwrap();
    put("frames", "frames", frames.join("\n").as_bytes());
    let lines: Vec<String> =
        lines::lines(&identity).unwrap().iter().map(|line| line.to_string()).collect();
    put("typed-lines", "lines", lines.join("\n").as_bytes());
}

fn attestation(spki: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(&folder.path().join("pki"));
    let leaf = Leaf { by: "device", extensions: pki::born(0) };
    let chain = pki.attest("seed", spki, &leaf, "root");
    let chain = fs::read_to_string(chain).unwrap();
    put("attestation", "chain.pem", chain.as_bytes());
    put("brought", "chain.pem", chain.replace('\n', "\r\n").as_bytes());
    put("attestation", "spki", spki);
    put("attestation", "root", pki.pin("root").as_bytes());
}

fn put(parser: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(seeds(parser)).unwrap();
    fs::write(seeds(parser).join(name), bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
