//! The PIN, and keys that exist.

use std::{fs, process::Command};

use super::{
    common::{
        MODULE, PIN, run,
        stage::{Done, Stage},
    },
    refused, state,
};

#[test]
fn a_wrong_pin_is_tried_once_and_the_next_only_when_two_people_say_so() {
    let mut stage = Stage::at(Done::OfferCheck);
    let before = state(&stage, "tenant");
    fs::write(stage.path("pin"), "not the PIN").unwrap();
    let said = stage.tenant(&["keys", "create"]).ended_with(5);
    assert!(said.contains("PIN is wrong"), "{said}");
    assert_eq!(state(&stage, "tenant"), before);
    // The right PIN now; but the token says that its count is low, and nothing is tried.
    fs::write(stage.path("pin"), PIN).unwrap();
    let said = stage.tenant(&["keys", "create"]).refused("PIN-COUNT-LOW");
    assert!(
        said.contains("ssh-keygen -Y sign -n keyferry-approval"),
        "{said}"
    );
    let request = stage.path("tenant/approvals/01-pin-try.json");
    stage.sign(&request, "keyferry-approval", "ada");
    stage.tenant(&["keys", "create"]).refused("PIN-COUNT-LOW");
    stage.sign(&request, "keyferry-document", "ben");
    stage
        .tenant(&["keys", "create"])
        .refused("SIGNATURE-NAMESPACE");
    stage.sign(&request, "keyferry-approval", "ben");
    // One try, and it is wrong: the same signatures allow no second one.
    fs::write(stage.path("pin"), "not the PIN either").unwrap();
    stage.tenant(&["keys", "create"]).ended_with(5);
    fs::write(stage.path("pin"), PIN).unwrap();
    stage.tenant(&["keys", "create"]).refused("PIN-COUNT-LOW");
    let second = stage.path("tenant/approvals/02-pin-try.json");
    for id in ["ada", "cora"] {
        stage.sign(&second, "keyferry-approval", id);
    }
    stage.tenant(&["keys", "create"]).ok();
    stage.done = Some(Done::KeysCreate);
    stage.walk_to(Done::Export);
}

/// Makes a key pair on the tenant's token with another program, and writes its public half to a file.
fn make_key(stage: &Stage, label: &str, id: &str, bits: u32, extractable: bool) -> String {
    let tool = |arguments: &[&str]| {
        let mut command = Command::new("pkcs11-tool");
        command
            .args([
                "--module",
                MODULE,
                "--token-label",
                "tenant",
                "--login",
                "--pin",
                PIN,
            ])
            .args(arguments);
        run(command
            .env("SOFTHSM2_CONF", stage.path("softhsm2.conf"))
            .current_dir(stage.dir.path()))
    };
    let kind = format!("rsa:{bits}");
    let mut arguments = vec![
        "--keypairgen",
        "--key-type",
        &kind,
        "--label",
        label,
        "--id",
        id,
        "--sensitive",
        "--usage-sign",
        "--usage-decrypt",
    ];
    if extractable {
        arguments.push("--extractable");
    }
    tool(&arguments);
    let file = format!("{label}.der");
    tool(&[
        "--read-object",
        "--type",
        "pubkey",
        "--id",
        id,
        "--output-file",
        &file,
    ]);
    format!("hgs-signing={file}")
}

#[test]
fn a_key_that_exists_is_taken_only_as_planned() {
    let mut stage = Stage::at(Done::OfferCheck);
    let kept = make_key(&stage, "kept-inside", "01", 2048, false);
    refused(
        &stage,
        "tenant",
        &["keys", "create", "--existing", &kept],
        "TARGET-EXTRACTABLE",
    );
    let larger = make_key(&stage, "too-large", "02", 3072, true);
    refused(
        &stage,
        "tenant",
        &["keys", "create", "--existing", &larger],
        "TARGET-KEY",
    );
    let good = make_key(&stage, "years-old", "03", 2048, true);
    fs::write(stage.path("nonsense.der"), "no key").unwrap();
    refused(
        &stage,
        "tenant",
        &["keys", "create", "--existing", "hgs-signing=nonsense.der"],
        "TARGET-CERTIFICATE",
    );
    stage
        .tenant(&[
            "keys",
            "create",
            "--existing",
            "no-such-label=years-old.der",
        ])
        .ended_with(2);
    let said = stage.tenant(&["keys", "create", "--existing", &good]).ok();
    assert!(
        said.contains("hgs-signing:") && said.contains("found") && said.contains("made"),
        "{said}"
    );
    stage.done = Some(Done::KeysCreate);
    // The very key crosses, and the tenant's own certificate of it is what its officers see.
    stage.walk_to(Done::ReceiptCheck);
    let spki = fs::read(stage.path("years-old.der")).unwrap();
    let package = stage.json("medium/package/package.json");
    let crossed = package["body"]["keys"][0]["spki"].as_str().unwrap();
    assert_eq!(
        data_encoding::BASE64.decode(crossed.as_bytes()).unwrap(),
        spki
    );
}
