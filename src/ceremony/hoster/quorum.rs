//! The custodians in front of the hoster's machine: each presents a share, which is checked at
//! once.

use std::path::PathBuf;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error::ErrorKind, value_parser,
};
use zeroize::Zeroizing;

use custody::{
    codes::lines,
    custodian::{self, OpenedShare},
    share::{Quorum, RECORD, Secret, Share},
};
use record::{
    Error, Result,
    document::package::Package,
    encoding::Hash,
    escape::{escape, quote},
    folder,
    plan::Plan,
    rule::Rule,
    share::MAX_SHARE_FILE,
    terms::Id,
};
use terminal::Asker;

/// A share as it comes on the command line.
pub struct Presented {
    /// Its age file.
    pub file: PathBuf,
    /// The identity that opens it; asked for where absent.
    pub identity: Option<PathBuf>,
}

/// Shares on the command line, each with the identity that follows it.
pub struct ShareArgs(pub Vec<Presented>);

/// By hand: what clap derives knows no places.
impl Args for ShareArgs {
    fn augment_args(command: Command) -> Command {
        let files = |name: &'static str, help: &'static str| {
            let file = Arg::new(name).long(name).value_name("FILE").help(help);
            file.action(ArgAction::Append).value_parser(value_parser!(PathBuf))
        };
        command
            .arg(files("share", "A custodian's share file; repeat it, each with its identity. Without any, people are asked"))
            .arg(files("identity", "The identity that opens the share file before it"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ShareArgs {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let placed = |name: &str| {
            let files = matches.get_many::<PathBuf>(name).into_iter().flatten().cloned();
            matches.indices_of(name).into_iter().flatten().zip(files)
        };
        let shares =
            placed("share").map(|(place, file)| (place, Presented { file, identity: None }));
        let mut shares: Vec<(usize, Presented)> = shares.collect();
        for (place, identity) in placed("identity") {
            let before = shares.iter_mut().rfind(|(share, _)| *share < place);
            match before.filter(|(_, share)| share.identity.is_none()) {
                Some((_, share)) => share.identity = Some(identity),
                None => {
                    let identity = escape(&identity.display().to_string());
                    let what = format!(
                        "--identity {identity} has no share file before it: give each share as --share FILE --identity FILE\n"
                    );
                    return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, what));
                }
            }
        }
        Ok(ShareArgs(shares.into_iter().map(|(_, share)| share).collect()))
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A quorum that has opened the seal.
pub struct OpenedSeal {
    /// What they hold together.
    pub secret: Secret,
    /// The custodians.
    pub custodians: Vec<Id>,
    /// Those whose identity was opened on this machine.
    pub spent: Vec<Id>,
    /// Those whose deputy came, as far as an identity tells: a plugin's does not.
    pub deputies: Vec<Id>,
}

/// Takes shares until there are enough. Shares on the command line are taken in order, and a wrong
/// one refuses; without any, people are asked until the quorum stands, and a wrong one is asked for
/// again.
///
/// # Errors
/// `SHARE-…`, naming the custodian where it can be told.
pub fn gather(
    plan: &Plan,
    package: &Package,
    presented: &[Presented],
    asker: &Asker,
) -> Result<OpenedSeal> {
    let mut quorum = Quorum::new(package.package_id, package.threshold, &package.shares);
    let mut spent = Spent::new(plan);
    if presented.is_empty() {
        ask_all(package, &mut quorum, &mut spent, asker)?;
    } else {
        for share in presented {
            let identity = match &share.identity {
                Some(identity) => identity.clone(),
                None => asker
                    .line(&format!("Identity file that opens {}: ", share.file.display()))?
                    .into(),
            };
            let opened = open_file(package, &share.file, &identity, asker)?;
            let custodian = quorum.present(opened.share)?;
            asker.say(&format!(
                "the share of {custodian} is right; {} more needed",
                quorum.missing()
            ));
            spent.add(&custodian, &opened.recipients)?;
        }
    }
    let (secret, custodians) = quorum.recombine()?;
    Ok(OpenedSeal {
        secret,
        custodians: custodians.iter().map(|name| id(name)).collect::<Result<_>>()?,
        spent: spent.custodians,
        deputies: spent.deputies,
    })
}

/// Whose identities were opened on this machine.
struct Spent<'a> {
    plan: &'a Plan,
    custodians: Vec<Id>,
    deputies: Vec<Id>,
}

impl<'a> Spent<'a> {
    fn new(plan: &'a Plan) -> Self {
        Spent { plan, custodians: Vec::new(), deputies: Vec::new() }
    }

    /// Adds one; a custodian's first recipient is their own, the others are deputies'.
    fn add(&mut self, custodian: &str, recipients: &[String]) -> Result<()> {
        let id = id(custodian)?;
        let planned = self.plan.quorum.custodians.iter().find(|one| one.id == id);
        let deputies = planned.map_or(&[][..], |one| one.recipients.get(1..).unwrap_or_default());
        if deputies.iter().any(|deputy| recipients.contains(deputy)) {
            self.deputies.push(id.clone());
        }
        self.custodians.push(id);
        Ok(())
    }
}

fn id(name: &str) -> Result<Id> {
    // The package was checked against the plan, whose ids these are.
    name.parse()
        .map_err(|expected: String| Error::defect(format!("custodian {}: {expected}", quote(name))))
}

fn ask_all(package: &Package, quorum: &mut Quorum, spent: &mut Spent, asker: &Asker) -> Result<()> {
    asker.say(&format!(
        "{} custodians must present their shares, one after the other.",
        quorum.missing()
    ));
    while quorum.missing() > 0 {
        let question = "Share file of the next custodian, or an empty line to type or scan a share (Ctrl-D ends): ";
        let answer = match asker.line(question) {
            // A script has no more: how many are missing is said as ever.
            Err(Error::Ended { .. }) if !asker.is_interactive() => return Ok(()),
            answer => answer?,
        };
        let share = match answer.trim() {
            "" => type_share(package, asker),
            file => folder::read_file(file.as_ref(), MAX_SHARE_FILE)
                .and_then(|bytes| {
                    let identity = ask_identity(asker)?;
                    open_bytes(package, &bytes, file, &identity, asker)
                })
                .map(|opened| (opened.share, Some(opened.recipients))),
        };
        match share.and_then(|(share, recipients)| Ok((quorum.present(share)?, recipients))) {
            Ok((custodian, recipients)) => {
                asker.say(&format!(
                    "the share of {} is right; {} more needed",
                    escape(&custodian),
                    quorum.missing()
                ));
                if let Some(recipients) = recipients {
                    spent.add(&custodian, &recipients)?;
                }
            }
            Err(error) if matches!(error, Error::Ended { .. }) || !asker.is_interactive() => {
                return Err(error);
            }
            Err(error) => asker.say(&error.to_string()),
        }
    }
    Ok(())
}

/// A share that is typed or scanned: the opened one, or the file as its sheet has it.
fn type_share(package: &Package, asker: &Asker) -> Result<(Share, Option<Vec<String>>)> {
    let typed = lines::ask(asker)?;
    if typed.len() == RECORD {
        return Ok((Share::from_record(&typed)?, None));
    }
    let file = custodian::with_armour(&typed)?;
    let identity = ask_identity(asker)?;
    let opened = open_bytes(package, &file, "what was typed", &identity, asker)?;
    Ok((opened.share, Some(opened.recipients)))
}

fn ask_identity(asker: &Asker) -> Result<Zeroizing<Vec<u8>>> {
    let question = "Identity file that opens it, or an empty line to type or scan its sheet: ";
    let answer = asker.line(question)?;
    match answer.trim() {
        "" => custodian::with_armour(&lines::ask(asker)?).map(Zeroizing::new),
        file => folder::read_file(file.as_ref(), MAX_SHARE_FILE).map(Zeroizing::new),
    }
}

/// Opens a share file with an identity file.
fn open_file(
    package: &Package,
    file: &std::path::Path,
    identity: &std::path::Path,
    asker: &Asker,
) -> Result<OpenedShare> {
    let bytes = folder::read_file(file, MAX_SHARE_FILE)?;
    let identity = Zeroizing::new(folder::read_file(identity, MAX_SHARE_FILE)?);
    open_bytes(package, &bytes, &file.display().to_string(), &identity, asker)
}

/// Opens a share file. One that is none of those dealt is named before it is opened.
fn open_bytes(
    package: &Package,
    bytes: &[u8],
    name: &str,
    identity: &[u8],
    asker: &Asker,
) -> Result<OpenedShare> {
    let hash = Hash::of(bytes);
    if !package.shares.iter().any(|listing| listing.file == hash) {
        return Err(Rule::ShareFile.refuse(
            format!("{name} has SHA-256 {hash}"),
            "one of the share files that the package lists",
            "look for the file of this attempt; a damaged one is written again by `keyferry-tenant share reissue`",
        ));
    }
    custodian::open_share(bytes, identity, &|prompt| asker.hidden(prompt))
}
