//! The custodians in front of the hoster's machine: each presents a share, which is checked at
//! once.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use zeroize::Zeroizing;

use custody::codes::lines;
use custody::custodian;
use custody::share::{Quorum, RECORD, Secret, Share};
use record::command::with_commands;
use record::document::package::Package;
use record::encoding::Hash;
use record::escape::{escape, quote};
use record::log::Event;
use record::plan::Plan;
use record::rule::Rule;
use record::share::MAX_SHARE_FILE;
use record::terms::Id;
use record::{Error, Result, folder};
use terminal::Asker;

/// A share as it comes on the command line.
pub struct ShareInput {
    /// Its age file.
    pub file: PathBuf,
    /// The identity that opens it; asked for where absent.
    pub identity: Option<PathBuf>,
}

/// Shares on the command line, each with the identity that follows it.
pub struct ShareArgs(pub Vec<ShareInput>);

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
            placed("share").map(|(place, file)| (place, ShareInput { file, identity: None }));
        let mut shares: Vec<(usize, ShareInput)> = shares.collect();
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

/// The custodians who have presented their shares so far.
#[derive(Default)]
pub struct PresentCustodians {
    /// Who, in the order in which they came.
    pub custodians: Vec<Id>,
    /// Those whose identity was opened on this machine.
    pub spent: Vec<Id>,
    /// Those whose deputy came, as far as an identity tells: a plugin's does not.
    pub deputies: Vec<Id>,
}

impl PresentCustodians {
    /// How the log names them.
    pub fn event(&self) -> Event {
        let PresentCustodians { custodians, spent, deputies } = self;
        let (custodians, spent, deputies) = (custodians.clone(), spent.clone(), deputies.clone());
        Event::Quorum { custodians, spent, deputies }
    }
}

/// Puts on record who has presented a share.
type Recorder<'a> = &'a mut dyn FnMut(&PresentCustodians) -> Result<()>;

/// Takes shares until there are enough, and records each at once: an identity that was opened is
/// spent. Shares on the command line are taken in order, and a wrong one refuses; without any,
/// people are asked until the quorum stands, and a wrong one is asked for again.
///
/// # Errors
/// `SHARE-…`, naming the custodian where it can be told; what `record` ends with.
pub fn gather(
    plan: &Plan,
    package: &Package,
    presented: &[ShareInput],
    asker: &Asker,
    record: Recorder,
) -> Result<(Secret, PresentCustodians)> {
    let quorum = Quorum::new(package.package_id, package.threshold, &package.shares);
    let present = PresentCustodians::default();
    let mut gathering = Gathering { plan, package, asker, quorum, present };
    if presented.is_empty() {
        gathering.ask_all(record)?;
    }
    for ShareInput { file, identity } in presented {
        let identity = match identity {
            Some(identity) => identity.clone(),
            None => asker.line(&format!("Identity file that opens {}: ", file.display()))?.into(),
        };
        let bytes = folder::read_file(file, MAX_SHARE_FILE)?;
        let identity = Zeroizing::new(folder::read_file(&identity, MAX_SHARE_FILE)?);
        let opened = gathering.open(&bytes, &file.display().to_string(), &identity)?;
        gathering.take(opened)?;
        record(&gathering.present)?;
    }
    Ok((gathering.quorum.recombine()?.0, gathering.present))
}

/// A share, and the recipients of the identity that has opened it, where one has.
type ShareOpening = (Share, Option<Vec<String>>);

/// Shares that are presented one after the other.
struct Gathering<'a> {
    plan: &'a Plan,
    package: &'a Package,
    asker: &'a Asker,
    quorum: Quorum<'a>,
    present: PresentCustodians,
}

fn id(name: &str) -> Result<Id> {
    // The package was checked against the plan, whose ids these are.
    name.parse()
        .map_err(|expected: String| Error::defect(format!("custodian {}: {expected}", quote(name))))
}

impl Gathering<'_> {
    fn ask_all(&mut self, record: Recorder) -> Result<()> {
        let asker = self.asker;
        asker.say(&format!(
            "{} custodians must present their shares, one after the other.",
            self.quorum.missing()
        ));
        while self.quorum.missing() > 0 {
            let question = "Share file of the next custodian, or an empty line to type or scan a share (Ctrl-D ends): ";
            let answer = match asker.line(question) {
                // A script has no more: how many are missing is said as ever.
                Err(Error::Ended { .. }) if !asker.is_interactive() => return Ok(()),
                answer => answer?,
            };
            match self.answered(answer.trim()).and_then(|opened| self.take(opened)) {
                Ok(()) => record(&self.present)?,
                Err(error) if matches!(error, Error::Ended { .. }) || !asker.is_interactive() => {
                    return Err(error);
                }
                Err(error) => asker.say(&error.to_string()),
            }
        }
        Ok(())
    }

    /// A share from a file; or typed or scanned, the opened one, or the file as its sheet has it.
    fn answered(&self, answer: &str) -> Result<ShareOpening> {
        let (bytes, name) = match answer {
            "" => {
                let typed = lines::ask(self.asker)?;
                if typed.len() == RECORD {
                    return Ok((Share::from_record(&typed)?, None));
                }
                (custodian::with_armour(&typed)?, "what was typed")
            }
            file => (folder::read_file(file.as_ref(), MAX_SHARE_FILE)?, file),
        };
        let question = "Identity file that opens it, or an empty line to type or scan its sheet: ";
        let identity = match self.asker.line(question)?.trim() {
            "" => custodian::with_armour(&lines::ask(self.asker)?)?,
            file => folder::read_file(file.as_ref(), MAX_SHARE_FILE)?,
        };
        self.open(&bytes, name, &Zeroizing::new(identity))
    }

    /// Opens a share file. One that is none of those dealt is named before it is opened.
    fn open(&self, bytes: &[u8], name: &str, identity: &[u8]) -> Result<ShareOpening> {
        let hash = Hash::of(bytes);
        if !self.package.shares.iter().any(|listing| listing.file == hash) {
            return Err(Rule::ShareFile.refuse(
                format!("{name} has SHA-256 {hash}"),
                "one of the share files that the package lists",
                with_commands("look for the file of this attempt; a damaged one is written again on the tenant's machine, by `{tenant share reissue CUSTODIAN}`"),
            ));
        }
        let opened = custodian::open_share(bytes, identity, &|prompt| self.asker.hidden(prompt))?;
        Ok((opened.share, Some(opened.recipients)))
    }

    /// Adds a share, and whose identity was opened for it: a custodian's first recipient is their
    /// own, the others are deputies'.
    fn take(&mut self, (share, recipients): ShareOpening) -> Result<()> {
        let custodian = self.quorum.present(share)?;
        self.asker.say(&format!(
            "the share of {} is right, and on record; {} more needed",
            escape(&custodian),
            self.quorum.missing()
        ));
        let id = id(&custodian)?;
        self.present.custodians.push(id.clone());
        let Some(recipients) = recipients else {
            return Ok(());
        };
        let planned = self.plan.quorum.custodians.iter().find(|one| one.id == id);
        let deputies = planned.map_or(&[][..], |one| one.recipients.get(1..).unwrap_or_default());
        if deputies.iter().any(|deputy| recipients.contains(deputy)) {
            self.present.deputies.push(id.clone());
        }
        self.present.spent.push(id);
        Ok(())
    }
}
