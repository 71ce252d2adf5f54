//! A search of everything that a ceremony wrote for everything that must stay secret.

use std::{collections::HashSet, fs, path::Path, process::Command};

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use rsa::{
    pkcs8::{DecodePrivateKey, EncodePublicKey},
    traits::PrivateKeyParts,
};
use zeroize::Zeroizing;

use crate::{
    common::{
        MODULE, PIN, Tokens, run,
        stage::{CUSTODIANS, Done, Stage, ended},
        walk::ASKS,
    },
    trace,
};
use custody::custodian;
use hsm::{Module, Pin, WrapOrder, wrapped_key};
use record::{
    fingerprint,
    spki::TargetCertificate,
    terms::{Mechanism, OaepHash},
};

/// A secret, and every way in which it could have been written down.
struct Secret {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let mut forms = vec![bytes.to_vec(), reversed];
        forms.push(HEXLOWER.encode(bytes).into_bytes());
        forms.push(HEXUPPER.encode(bytes).into_bytes());
        // Base64 of a secret inside other bytes has one of three alignments; what its neighbours
        // change is left out.
        for start in 0..3 {
            let aligned = &bytes[start..start + (bytes.len() - start) / 3 * 3];
            forms.push(BASE64.encode(aligned).into_bytes());
            forms.push(BASE64URL.encode(aligned).into_bytes());
        }
        for start in 0..5 {
            let aligned = &bytes[start..start + (bytes.len() - start) / 5 * 5];
            forms.push(BASE32_NOPAD.encode(aligned).into_bytes());
        }
        forms.push(fingerprint::words(bytes).join(" ").into_bytes());
        Secret { name: name.into(), forms }
    }

    fn is_in(&self, haystack: &[u8]) -> bool {
        let begins = |form: &Vec<u8>| {
            let first = form[0];
            let mut places = haystack.windows(form.len());
            places.any(|window| window[0] == first && window == form)
        };
        self.forms.iter().any(begins)
    }
}

/// Every system call that a program could give a secret to: whatever becomes of the file later, or
/// is no file.
const WRITES: &str = "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,execve,openat,rename,renameat2,symlinkat,setxattr,prctl";

#[test]
fn nothing_secret_is_written_anywhere() {
    let (mut said, mut given) = (Vec::new(), HashSet::new());
    let mut stage = Stage::at(Done::Plan);
    let trace = stage.path("trace");
    stage.walk(Done::TenantClose, &mut |stage, side, arguments| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let command = stage.command(side, &arguments);
        let output = ended(&mut trace::traced(&command, &trace, WRITES, None));
        let text = fs::read(&trace).unwrap();
        given.extend(String::from_utf8_lossy(&text).lines().flat_map(trace::strings));
        fs::remove_file(&trace).unwrap();
        said.extend_from_slice(output.out.as_bytes());
        said.extend_from_slice(output.err.as_bytes());
        assert!([0, ASKS].contains(&output.code), "{output:?}");
        output.code
    });
    for id in CUSTODIANS {
        let (file, identity) =
            (format!("tenant/outbox/shares/{id}.age"), format!("people/{id}.identity"));
        let output = stage.custodian(&["share", "check", &file, "--identity", &identity]);
        said.extend_from_slice(output.out.as_bytes());
        said.extend_from_slice(output.err.as_bytes());
        output.ok();
    }
    let mut secrets = shares(&stage);
    secrets.extend(private_keys(&stage));
    secrets.push(Secret::new("the PIN", PIN.as_bytes()));
    secrets.extend(CUSTODIANS.map(|id| {
        let identity = fs::read_to_string(stage.path(&format!("people/{id}.identity"))).unwrap();
        let key = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-"));
        Secret::new(format!("the identity of {id}"), key.unwrap().as_bytes())
    }));
    assert_eq!(secrets.len(), 1 + 2 * CUSTODIANS.len() + 2 * 3 + 1);
    each_would_be_found(&secrets);

    assert!(said.len() > 10_000, "the programs said something");
    for secret in &secrets {
        assert!(!secret.is_in(&said), "{} was said", secret.name);
    }
    let length: usize = given.iter().map(Vec::len).sum();
    assert!(given.len() > 800 && length > 200_000, "{} strings, {length} bytes", given.len());
    for secret in &secrets {
        let found = given.iter().find(|string| secret.is_in(string));
        assert!(found.is_none(), "{} was written", secret.name);
    }
    println!("counted: {} different strings, {length} bytes, in system calls", given.len());
    let mut searched = 0;
    search(stage.dir.path(), &secrets, &mut searched);
    assert!(searched > 150, "only {searched} files were searched");
}

/// Every form of every secret, between other bytes, is found: the search can fail.
fn each_would_be_found(secrets: &[Secret]) {
    for secret in secrets {
        for form in &secret.forms {
            assert!(secret.is_in(&[b"before".as_slice(), form, b"after"].concat()));
            let mut other = form.clone();
            other[form.len() / 2] ^= 1;
            assert!(!secret.is_in(&other), "{} is found where it is not", secret.name);
        }
    }
}

fn search(folder: &Path, secrets: &[Secret], searched: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The tokens hold the keys; the PIN file and people's keys are the tester's own.
        if ["tokens", "pin", "people"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            search(&path, secrets, searched);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        *searched += 1;
        for secret in secrets {
            assert!(!secret.is_in(&bytes), "{} is in {}", secret.name, path.display());
        }
    }
}

/// The shares, opened by their holders, and the seal secret that three of them give.
fn shares(stage: &Stage) -> Vec<Secret> {
    let mut secrets = Vec::new();
    let mut points = Vec::new();
    for id in CUSTODIANS {
        let file = fs::read(stage.path(&format!("tenant/outbox/shares/{id}.age"))).unwrap();
        let identity = fs::read(stage.path(&format!("people/{id}.identity"))).unwrap();
        let share =
            custodian::open_share(&file, &identity, &|_| unreachable!("it has no passphrase"))
                .unwrap();
        let record = share.share.record();
        secrets.push(Secret::new(format!("the share of {id}"), &record[20..52]));
        let point = [&record[19..20], &record[20..52]].concat();
        points.push(sharks::Share::try_from(point.as_slice()).unwrap());
    }
    let secret = sharks::Sharks(3).recover(&points[1..4]).unwrap();
    assert_eq!(secret, sharks::Sharks(3).recover(&points[..3]).unwrap());
    secrets.push(Secret::new("S", &secret));
    secrets
}

/// Private exponent and primes of each target key: the tenant's token wraps it for a KEK of ours.
fn private_keys(stage: &Stage) -> Vec<Secret> {
    let tokens = Tokens::new(&[]);
    let all = format!("{}/.", stage.path("tokens").display());
    run(Command::new("cp").args(["-a", &all]).arg(tokens.folder().join("tokens")));
    let module = Module::open(Path::new(MODULE), None).unwrap();
    let token = module.token("tenant").unwrap();
    let hsm = token.login(Some(&Pin::new(Zeroizing::new(PIN.to_owned())))).unwrap();
    let kek = rsa::PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap();
    let kek_spki = kek.to_public_key().to_public_key_der().unwrap();
    let mut secrets = Vec::new();
    for label in ["hgs-signing", "hgs-encryption"] {
        let der = fs::read(stage.path(&format!("tenant/keys/{label}.crt"))).unwrap();
        let certificate = TargetCertificate::parse(&der, label).unwrap();
        let target = hsm.target_by_spki(&hsm.inventory().unwrap(), certificate.spki()).unwrap();
        let order = WrapOrder {
            kek_spki: kek_spki.as_bytes(),
            trusted: None,
            mechanism: Mechanism::Composite,
            oaep: OaepHash::Sha1,
            sessions: 1,
        };
        let wrapped = hsm.wrap(&order, &[&target], &|_| ()).unwrap().remove(0);
        let opened = wrapped_key::open(&kek, OaepHash::Sha1, &wrapped).unwrap();
        let key = rsa::PrivateKey::from_pkcs8_der(&opened.pkcs8).unwrap();
        secrets.push(Secret::new(format!("{label}: d"), &key.d().to_be_bytes()));
        for (n, prime) in key.primes().iter().enumerate() {
            secrets.push(Secret::new(format!("{label}: prime {n}"), &prime.to_be_bytes()));
        }
    }
    secrets
}
