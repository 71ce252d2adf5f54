//! The custodians in front of the hoster's machine: each presents a share, which is checked at
//! once.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use zeroize::Zeroizing;

use crate::{Ceremony, plugins};
use custody::changed;
use custody::codes::lines;
use custody::custodian;
use custody::share::{Quorum, RECORD, Secret, Share};
use record::document::package::Package;
use record::log::ChangedShare;
use record::plan::Custodian;
use record::share::MAX_SHARE_FILE;
use record::{Error, Event, Hash, Id, Remark, Result, Rule, escape, folder, list, with_commands};
use terminal::texts::Texts;
use terminal::{Asker, Recorder, answer};

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

/// Takes shares until there are enough, and records each at once: an identity that was opened is
/// spent. Shares on the command line are taken in order, and a wrong one refuses; without any,
/// people are asked until the quorum stands, and a wrong one is asked for again.
///
/// # Errors
/// `SHARE-…`, naming the custodian where it can be told; as [`Ceremony::record`].
pub fn gather(
    ceremony: &mut Ceremony,
    package: &Package,
    presented: &[ShareInput],
    asker: &Asker,
) -> Result<Secret> {
    let plan = ceremony.plan.clone();
    let named =
        |id: &str| plan.quorum.custodian(id).map_or(escape(id), |one| plan.name_of(&one.id));
    let quorum = Quorum::new(package.package_id, package.threshold, &package.shares, &named);
    let mut gathering = Gathering {
        ceremony,
        package,
        asker,
        quorum,
        custodians: Vec::new(),
        spent: Vec::new(),
        restored: Vec::new(),
        deputies: Vec::new(),
        changed: Vec::new(),
    };
    if presented.is_empty() {
        gathering.ask_all()?;
    }
    for ShareInput { file, identity } in presented {
        let identity = match identity {
            Some(identity) => identity.clone(),
            None => loop {
                let question = format!("Identity file that opens {}: ", file.display());
                if let Some(identity) = asker.path(&question, gathering.ceremony)? {
                    break identity;
                }
            },
        };
        let bytes = folder::read_file(file, MAX_SHARE_FILE)?;
        let identity = Zeroizing::new(only_file(&identity)?);
        let opened = gathering.open(&bytes, &file.display().to_string(), &identity)?;
        gathering.take(opened)?;
        gathering.record()?;
    }
    gathering.quorum.recombine()
}

/// An identity file, or the only file of the folder that it lies in.
fn only_file(path: &Path) -> Result<Vec<u8>> {
    let file = answer::file_at(path, |_| true).unwrap_or_else(|| path.to_owned());
    folder::read_file(&file, MAX_SHARE_FILE)
}

/// A share that was presented.
struct ShareOpening {
    share: Share,
    /// The recipients of the identity that has opened it, where one has.
    recipients: Option<Vec<String>>,
    /// SHA-256 of its file as it was brought, and as it was dealt, where these differ.
    changed: Option<(Hash, Hash)>,
    /// What was typed with slips that its check has restored, and in which lines.
    restored: Vec<String>,
}

/// The lines of a page in which something was restored, for the record.
fn of_lines(page: &str, lines: &[usize]) -> Option<String> {
    (!lines.is_empty()).then(|| format!("{page}, line {}", list(lines)))
}

/// Shares that are presented one after the other.
struct Gathering<'a> {
    ceremony: &'a mut Ceremony,
    package: &'a Package,
    asker: &'a Asker,
    quorum: Quorum<'a>,
    /// Who, in the order in which they came.
    custodians: Vec<Id>,
    /// Those whose identity was opened on this machine.
    spent: Vec<Id>,
    /// What people typed with slips that were restored, until it is on record.
    restored: Vec<String>,
    /// Those whose deputy came, as far as an identity tells: a plugin's does not.
    deputies: Vec<Id>,
    /// Their share files that were changed on the way and hold the same share.
    changed: Vec<ChangedShare>,
}

impl Gathering<'_> {
    fn ask_all(&mut self) -> Result<()> {
        let asker = self.asker;
        asker.say(&format!(
            "{} custodians must present their shares, one after the other.",
            self.quorum.missing()
        ));
        let texts = Texts::spoken();
        while self.quorum.missing() > 0 {
            let file = match asker.path(&texts.get("ask.share", &[]), self.ceremony) {
                // A script has no more: how many are missing is said as ever.
                Err(Error::Ended { .. }) if !asker.is_interactive() => return Ok(()),
                file => file?,
            };
            match self.answered(file.as_deref()).and_then(|opened| self.take(opened)) {
                Ok(()) => self.record()?,
                Err(error) if matches!(error, Error::Ended { .. }) || !asker.is_interactive() => {
                    return Err(error);
                }
                Err(error) => {
                    asker.say(&error.to_string());
                    // Whoever brought it may not come again: it is on record at once.
                    if let Error::Refused(refusal) = error {
                        self.ceremony.refused(refusal.rule, refusal.found)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A share from a file; or typed or scanned, the opened one, or the file as its sheet has it.
    fn answered(&mut self, file: Option<&Path>) -> Result<ShareOpening> {
        let mut restored = Vec::new();
        let (bytes, name) = match file {
            None => {
                let typed = lines::ask(self.asker, self.ceremony)?;
                restored.extend(of_lines("share", &typed.restored));
                if typed.bytes.len() == RECORD {
                    let share = Share::from_record(&typed.bytes)?;
                    return Ok(ShareOpening { share, recipients: None, changed: None, restored });
                }
                (custodian::with_armour(&typed.bytes)?, "what was typed".to_owned())
            }
            Some(path) => {
                let file = answer::file_at(path, |name| name.ends_with(".age"));
                let file = file.unwrap_or_else(|| path.to_owned());
                (folder::read_file(&file, MAX_SHARE_FILE)?, file.display().to_string())
            }
        };
        let question = Texts::spoken().get("ask.identity", &[]);
        let identity = match self.asker.path(&question, self.ceremony)? {
            None => {
                let typed = lines::ask(self.asker, self.ceremony)?;
                restored.extend(of_lines("identity", &typed.restored));
                custodian::with_armour(&typed.bytes)?
            }
            Some(file) => only_file(&file)?,
        };
        let opening = self.open(&bytes, &name, &Zeroizing::new(identity))?;
        Ok(ShareOpening { restored, ..opening })
    }

    /// Opens a share file. One that is none of those dealt is named before it is opened.
    fn open(&self, bytes: &[u8], name: &str, identity: &[u8]) -> Result<ShareOpening> {
        // A file that was changed on the way is taken only if it is the same, once undone.
        let made = changed::as_made(bytes)?;
        let taken = made.as_deref().unwrap_or(bytes);
        let (brought, hash) = (Hash::of(bytes), Hash::of(taken));
        Rule::ShareFile.ensure(
            self.package.shares.iter().any(|listing| listing.file == hash),
            format!("{name} has SHA-256 {brought}"),
            "one of the share files that the package lists",
            with_commands("look for the file of this attempt; a damaged one is written again on the tenant's machine, by `{tenant share reissue CUSTODIAN}`"),
        )?;
        let ask = |prompt: &str| self.asker.hidden(prompt);
        let allow = |program: &str| plugins::require(&self.ceremony.plan, program).map(drop);
        let opened = custodian::open_share_with(taken, identity, &ask, &allow)?;
        let changed = (brought != hash).then_some((brought, hash));
        if changed.is_some() {
            let what = changed::what(bytes);
            self.asker.say(&format!("{name} was changed on the way ({what}) and is the same share; both hashes go on record"));
        }
        let recipients = Some(opened.recipients);
        Ok(ShareOpening { share: opened.share, recipients, changed, restored: Vec::new() })
    }

    /// Adds a share, and whose identity was opened for it: a custodian's first recipient is their
    /// own, the others are deputies'.
    fn take(&mut self, opening: ShareOpening) -> Result<()> {
        let ShareOpening { share, recipients, changed, restored } = opening;
        let name = self.quorum.present(share)?;
        // The package was checked against the plan, whose ids these are.
        let Custodian { id, recipients: own, .. } = self.ceremony.plan.quorum.require(&name)?;
        self.custodians.push(id.clone());
        let said = restored.into_iter().map(|lines| format!("{id}: {lines}"));
        self.restored.extend(said);
        if let Some(recipients) = recipients {
            if own.iter().skip(1).any(|deputy| recipients.contains(deputy)) {
                self.deputies.push(id.clone());
            }
            if let Some((brought, taken)) = changed {
                self.changed.push(ChangedShare { custodian: id.clone(), brought, taken });
            }
            self.spent.push(id.clone());
        }
        Ok(())
    }

    /// Puts on record who has presented a share so far.
    fn record(&mut self) -> Result<()> {
        self.ceremony.record(Event::Quorum {
            custodians: self.custodians.clone(),
            spent: self.spent.clone(),
            deputies: self.deputies.clone(),
            changed: self.changed.clone(),
        })?;
        if !self.restored.is_empty() {
            let text = format!(
                "slips of typing, restored by each line's own check: {}",
                self.restored.join("; ")
            );
            self.restored.clear();
            self.ceremony.record(Event::Note { remark: Remark::Remark { text } })?;
        }
        let last = self.ceremony.plan.names_of("nobody", self.custodians.last());
        let missing = self.quorum.missing();
        self.asker
            .say(&format!("the share of {last} is right, and on record; {missing} more needed"));
        Ok(())
    }
}
