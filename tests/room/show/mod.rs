//! `keyferry-audit show` over every file of a finished ceremony: what it says, and that whoever
//! wrote a file can neither make it say something else nor make it fall over.

mod hostile;
mod logs;
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{
    run,
    stage::{DOCUMENTS, Done, Stage},
};
use record::{encoding::Hash, fingerprint};

/// The text, or the error's.
fn show(path: &Path) -> Result<String, record::Error> {
    let mut out = Vec::new();
    ::show::show(path, ::show::Language::English, &mut out)
        .map(|()| String::from_utf8(out).unwrap())
}

#[track_caller]
fn says(text: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
    }
}

/// Every kind of file, by the name it has.
pub fn every_kind(stage: &Stage) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        DOCUMENTS.map(|kind| stage.path(&format!("medium/{kind}/{kind}.json"))).into();
    files.extend(
        [
            "plan/ceremony.toml",
            "tenant/log.jsonl",
            "tenant/archive/head.json",
            "hoster/registry.json",
            "hoster.json",
            "medium/offer/offer.json.hana.sig",
            "tenant/approvals/01-pin-try.json",
        ]
        .map(|name| stage.path(name)),
    );
    files
}

#[test]
fn every_file_of_a_ceremony_is_explained() {
    let stage = Stage::at(Done::TenantClose);
    stage.probe("hoster");
    request(&stage);
    let files = every_kind(&stage);
    documents(&stage);
    logs::told(&stage);
    others(&stage);
    every_json_and_every_signature(&stage);
    for file in &files {
        framed(&stage, file);
        truncated(file);
    }
    signed_by_its_own_line(&stage);
    texts::german(&stage);
    hostile::contents(&stage);
}

/// An approval request as the programs write it.
fn request(stage: &Stage) {
    let header = &stage.json("medium/offer/offer.json")["header"];
    let request = serde_json::json!({
        "format": "keyferry/1",
        "ceremony": header["ceremony"],
        "mode": header["mode"],
        "side": "tenant",
        "plan_hash": header["plan_hash"],
        "gate": "pin-try",
        "attempt": 1,
        "entry": header["head"]["hash"],
        "subject": {"earlier_tries": 0, "token": {"label": "tenant", "serials": ["1", "2"], "trusted": true, "none": []}},
        "summary": "Try the PIN of the tenant's token once more.\nSHA-256 of this file: 00",
    });
    let path = stage.path("tenant/approvals/01-pin-try.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, serde_json::to_vec_pretty(&request).unwrap()).unwrap();
}

/// What every text says, whatever the file.
fn framed(stage: &Stage, file: &Path) {
    let text = show(file).unwrap();
    let hash = Hash::of(&fs::read(file).unwrap());
    says(
        &text,
        &[
            "This is ",
            &format!("SHA-256 of this file: {hash}"),
            "This text explains; it does not verify.",
            "To verify: ",
        ],
    );
    let plan = Hash::of(&fs::read(stage.path("plan/ceremony.toml")).unwrap());
    let of_plan =
        !["registry.json", "hoster.json", "log.jsonl"].iter().any(|name| file.ends_with(name));
    if of_plan && !file.to_string_lossy().ends_with(".sig") {
        let words = fingerprint::words(plan.as_bytes());
        let row = |n: usize| words[4 * n..4 * n + 4].join(" ");
        says(
            &text,
            &[&plan.to_string(), &row(0), &row(7), "REHEARSAL", "ceremony:     test"]
                [..if file.ends_with("head.json") { 3 } else { 5 }],
        );
    }
}

fn documents(stage: &Stage) {
    let text = |kind: &str| show(&stage.path(&format!("medium/{kind}/{kind}.json"))).unwrap();
    let kek =
        stage.json("medium/offer/offer.json")["body"]["fingerprint"].as_str().unwrap().to_owned();
    says(
        &text("offer"),
        &[
            "This is the offer: the hoster's KEK",
            "made by:      the hoster",
            "attempt:      1",
            "made after entry 2 of the hoster's log",
            &format!("fingerprint:  {kek}"),
            &stage.kek_words().split(' ').take(4).collect::<Vec<_>>().join(" "),
            "KEK:          RSA-3072",
            "CKA_EXTRACTABLE false",
            "namespace:    keyferry-document",
            &format!(
                "    keyferry-officer sign {0} --as YOUR-ID --key KEY --plan PLAN\n  \
                 Without it, from a shell, with your id for YOUR-ID:\n    \
                 ssh-keygen -Y sign -n keyferry-document -f KEY < {0} > {0}.YOUR-ID.sig\n",
                stage.path("medium/offer/offer.json").display()
            ),
            "you vouch that this KEK was made in your HSM",
        ],
    );
    let offer = Hash::of(&fs::read(stage.path("medium/offer/offer.json")).unwrap());
    says(
        &text("package"),
        &[
            "sealed so that only a quorum of custodians opens it",
            &format!("answers:      the offer {offer}"),
            &format!("wrapped for:  the KEK {kek}"),
            "any 3 of 5 shares open it",
            "share 2 of dan: the file dan.age with SHA-256 ",
            "key hgs-signing, signing",
            "sealed key: the file hgs-encryption.sealed, ",
            "a challenge for node1/ready",
        ],
    );
    says(
        &text("receipt"),
        &[
            "opened by:    cyd, eve, gus",
            "spent:        cyd, eve, gus: identities opened on the hoster's machine",
            "a proof of hgs-encryption at import",
        ],
    );
    says(
        &text("registration"),
        &[
            "service:      local",
            "before it:    none",
            "the evidence of node1 active: the file node1-active.json, ",
        ],
    );
    says(
        &text("acceptance"),
        &[
            "the hoster may destroy the KEK",
            &format!("{kek} may be destroyed"),
            "the tenant's log: the file log.jsonl",
        ],
    );
    says(
        &text("closing"),
        &[&format!("{kek} is no longer found in the HSM"), "the hoster's log: the file"],
    );
}

fn others(stage: &Stage) {
    says(
        &show(&stage.path("tenant/approvals/01-pin-try.json")).unwrap(),
        &[
            "This is an approval request",
            "asked of:     the tenant's officers",
            "gate:         pin-try",
            "  | Try the PIN of the tenant's token once more.\n  | SHA-256 of this file: 00\n",
            "    earlier_tries: 0\n    token:\n      label: tenant\n",
            "      serials:\n        1: 1\n        2: 2\n      trusted: true\n",
            "      none: none\n",
            "You allow the tenant to try a PIN once more",
            "ssh-keygen -Y sign -n keyferry-approval -f KEY < ",
        ],
    );
    says(
        &show(&stage.path("plan/ceremony.toml")).unwrap(),
        &[
            "This is a plan",
            "3 of 5 custodians open the seal",
            "waived:     WRAP-OAEP-SHA1: RSA-OAEP uses SHA-256",
            "namespace:    keyferry-plan",
            "ceremony.toml --as hedy --key KEY\n",
        ],
    );
    says(
        &show(&stage.path("tenant/archive/head.json")).unwrap(),
        &["head of a closed log", "keyferry-head", "the tenant's log"],
    );
    says(
        &show(&stage.path("hoster/registry.json")).unwrap(),
        &[
            "KEYS OF THE CEREMONY test: PRIMARY",
            "key hgs-encryption, encryption",
            "certificate (SHA-1 thumbprint)",
        ],
    );
    says(
        &show(&stage.path("hoster.json")).unwrap(),
        &[
            "the hoster's token",
            "unwrap single-shot, OAEP sha1: works (rfc5649, rfc5649-zero-filled)",
            "REFUSED: ",
            "CKM_RSA_PKCS_OAEP",
            "keyferry-probe",
        ],
    );
    let key = run(Command::new("ssh-keygen").args(["-lf"]).arg(stage.path("people/hana.pub")));
    let key = String::from_utf8(key).unwrap();
    says(
        &show(&stage.path("medium/offer/offer.json.hana.sig")).unwrap(),
        &[
            "named after:  hana, over offer.json",
            "namespace:    keyferry-document\n    its signer releases a document",
            key.split(' ').nth(1).unwrap(),
            &stage.public_key("hana"),
            "It was not verified here",
        ],
    );
}

/// Nothing that Keyferry writes in JSON, and no signature, is unknown; what else lies there is
/// refused by name.
fn every_json_and_every_signature(stage: &Stage) {
    let mut found = 0;
    for folder in ["tenant", "hoster"] {
        let list = run(Command::new("find").arg(stage.path(folder)).args(["-type", "f"]));
        for path in String::from_utf8(list).unwrap().lines() {
            let known = [".json", ".jsonl", ".toml", ".sig"].iter().any(|end| path.ends_with(end));
            match show(Path::new(path)) {
                Ok(_) => assert!(known, "{path}"),
                Err(error) => {
                    assert!(!known, "{path}: {error}");
                    assert_eq!(error.exit_code(), 3, "{path}: {error}");
                    says(&error.to_string(), &["a log (log.jsonl)", "an approval request"]);
                }
            }
            found += usize::from(known);
        }
    }
    assert!(found > 60, "{found}");
}

/// A file that was cut off is refused: nobody signs half of one.
fn truncated(file: &Path) {
    let whole = fs::read(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file.file_name().unwrap());
    let step = (whole.len() / 150).max(1);
    let is_log = file.ends_with("log.jsonl");
    for cut in (0..whole.trim_ascii_end().len()).step_by(step) {
        fs::write(&path, &whole[..cut]).unwrap();
        let at_line = cut > 0 && whole[cut - 1] == b'\n';
        let shown = show(&path);
        // A log may end after any of its lines, and what a plan says last may be left out by its
        // writer too.
        let may = at_line && is_log || file.ends_with("ceremony.toml");
        assert!(shown.is_err() || may, "{} cut at {cut}", file.display());
    }
}

/// The line that it prints makes the signature that the auditor takes.
fn signed_by_its_own_line(stage: &Stage) {
    let text = stage.auditor(&["show", "tenant/archive/head.json"]).ok();
    let line = text.lines().find(|line| line.contains("ssh-keygen -Y sign")).unwrap();
    let line = line.replace("KEY", "people/ada").replace("YOUR-ID", "ada");
    run(Command::new("sh").args(["-c", &line]).current_dir(stage.path("")));
    let verdict = stage.auditor(&["verify", "tenant/archive"]).ok();
    says(&verdict, &["the head of the tenant is signed by ada"]);
}
