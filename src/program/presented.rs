//! Shares on the command line, each with the identity that follows it.

use std::path::PathBuf;

use clap::ArgMatches;

use ceremony::hoster::quorum::Presented;
use record::{Error, Result};

/// Gives every `--identity` to the `--share` before it on the command line.
///
/// # Errors
/// [`Error::Usage`] for an identity without a share file before it.
pub fn presented(
    matches: &ArgMatches,
    share: Vec<PathBuf>,
    identity: Vec<PathBuf>,
) -> Result<Vec<Presented>> {
    let places =
        |name: &str| matches.indices_of(name).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let shares = places("share");
    let mut presented: Vec<Presented> =
        share.into_iter().map(|file| Presented { file, identity: None }).collect();
    for (identity, place) in identity.into_iter().zip(places("identity")) {
        let before = shares.iter().rposition(|share| *share < place);
        match before.and_then(|n| presented.get_mut(n)).filter(|share| share.identity.is_none()) {
            Some(share) => share.identity = Some(identity),
            None => {
                return Err(Error::Usage {
                    what: format!("--identity {} has no share file before it", identity.display()),
                    remedy: "give each share as --share FILE --identity FILE".into(),
                });
            }
        }
    }
    Ok(presented)
}
