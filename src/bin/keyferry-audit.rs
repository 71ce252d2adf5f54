//! The auditor's program, which officers use for plans too: parse, wire, exit code.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use data_encoding::HEXLOWER;
use keyferry::{
    Result, audit,
    encoding::{Hash, random},
    folder,
    plan::Plan,
    signature,
    terminal::fail,
};

/// The plan that `plan new` writes.
const TEMPLATE: &str = include_str!("../../templates/ceremony.toml");

/// Write and check plans, and verify what a ceremony left behind; needs no HSM and no share
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The plan of a ceremony
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Verify ceremony folders or archives: what holds, what is only a claim, what is missing
    Verify {
        /// A side's ceremony folder, or an archive; give what you have
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// The plan's SHA-256, from paper
        #[arg(long, value_name = "HASH")]
        expect_plan: Option<Hash>,
        /// The SHA-256 of a log's head, from paper
        #[arg(long, value_name = "HASH")]
        expect_head: Option<Hash>,
        /// Print the verdict as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum PlanCommand {
    /// Write a plan with an explanation of every field
    New {
        /// The new file
        file: PathBuf,
    },
    /// Say what a plan means, or name each of its faults with its line
    Check {
        /// The plan
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Plan(PlanCommand::New { file }) => plan_new(&file),
        Command::Plan(PlanCommand::Check { file }) => plan_check(&file),
        Command::Verify {
            folders,
            expect_plan,
            expect_head,
            json,
        } => audit::verify(&folders, expect_plan, expect_head).map(|verdict| match json {
            true => println!("{}", serde_json::json!(verdict)),
            false => println!("{}", verdict.text()),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn plan_new(file: &Path) -> Result<()> {
    let text = TEMPLATE.replace("@NONCE@", &HEXLOWER.encode(&random::<32>()?));
    folder::write_new(file, text.as_bytes())?;
    println!("{}", file.display());
    eprintln!(
        "next: fill in every REPLACE, then keyferry-audit plan check {}",
        file.display()
    );
    Ok(())
}

fn plan_check(file: &Path) -> Result<()> {
    let plan = Plan::read(file)?;
    print!("{}", audit::explain(&plan));
    let signed = signature::beside(file)?;
    match signature::verify_plan(&plan, &signed) {
        Ok(signed) => {
            let names: Vec<&str> = signed.iter().map(|one| one.id.as_str()).collect();
            println!("signed by     {}", names.join(", "));
            eprintln!(
                "next: both sides begin with `init`; the first two rows of words are read aloud, and typed there"
            );
        }
        Err(error) => {
            println!("not yet signed by enough officers of both sides");
            if !signed.is_empty() {
                eprintln!("{error}");
            }
            eprintln!(
                "next: officers of both sides sign it (ceremony-scripts/sign FOLDER --as ID --key KEY)"
            );
        }
    }
    if let Err(error) = plan.require_supported() {
        eprintln!("note: {error}");
    }
    Ok(())
}
