//! The one thing that has a person's key: `ssh-keygen`, which knows files, agents and FIDO2 keys.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use record::signature::{MAX_SIGNATURE, Namespace};
use record::{Error, Result};
use terminal::tell;

/// Has these very bytes signed; what came back is not verified yet.
///
/// # Errors
/// [`Error::Failed`] where no signature came back.
pub fn sign(key: &Path, namespace: Namespace, bytes: &[u8]) -> Result<Vec<u8>> {
    tell(
        "ssh-keygen signs now. It may ask for your key's passphrase, or wait until you touch the FIDO2 key, for as long as that takes; Ctrl-C stops it, and then nothing is signed.",
    );
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", namespace.name(), "-f"]).arg(key);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| failed_error(&format!("could not be run: {error}")))?;
    let said = talk(&mut child, bytes);
    if said.as_ref().is_ok_and(|said| said.len() as u64 > MAX_SIGNATURE) {
        // It says more than any signature has. That it can't be ended changes nothing.
        let _ = child.kill();
    }
    let ended = child.wait().map_err(|error| failed_error(&error.to_string()))?;
    let said = said.map_err(|error| failed_error(&error.to_string()))?;
    match ended.success() && said.len() as u64 <= MAX_SIGNATURE {
        true => Ok(said),
        false => Err(failed_error(&format!("made no signature ({ended})"))),
    }
}

/// Gives it the bytes while it is listened to: it may ask for a passphrase or a touch first.
fn talk(child: &mut Child, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let (input, output) = (child.stdin.take(), child.stdout.take());
    std::thread::scope(|scope| {
        // What it does not read, it did not sign: the signature will not verify.
        scope.spawn(move || input.map(|mut input| input.write_all(bytes)));
        let mut said = Vec::new();
        if let Some(output) = output {
            output.take(MAX_SIGNATURE + 1).read_to_end(&mut said)?;
        }
        Ok(said)
    })
}

fn failed_error(what: &str) -> Error {
    Error::failed(
        format!("ssh-keygen {what}; nothing was signed"),
        "read what it says above: is it your key (or its .pub with an agent), the right passphrase, the FIDO2 key plugged in and touched? Then run the same command again",
    )
}
