//! The model and the ceremony, step by step together.

use std::{fs, rc::Rc};

use super::{
    cluster::{Cluster, SERVICE},
    fault::Fault,
    folder::Folder,
    proving::Token,
};
use crate::common::stage::{Done, Setting, Stage};
use ceremony::services::{Service, TargetStep, hgs::Hgs};
use record::{rule::Rule, service::Statement};

/// What an operator does next.
#[derive(Debug, Clone)]
pub enum Move {
    /// A script, at a node, and `evidence add` of what it wrote.
    Script(&'static str, String),
    /// Officers sign, and the order to activate is given.
    Gate,
}

impl Move {
    /// The whole way: every node made ready, activation, every node again, and once more when the
    /// soak hours have passed.
    pub fn flow(nodes: &[String]) -> Vec<Move> {
        let each = |programs: &[&'static str]| {
            let one = |node: &String| {
                let moves = programs.iter().map(|program| Move::Script(program, node.clone()));
                moves.collect::<Vec<_>>()
            };
            nodes.iter().flat_map(one).collect::<Vec<_>>()
        };
        let test = "Test-KeyferryNode.ps1";
        let mut all = each(&["Install-KeyferryNode.ps1", test]);
        all.push(Move::Gate);
        all.push(Move::Script("Set-KeyferryPrimary.ps1", nodes[0].clone()));
        all.extend(each(&[test]));
        all.extend(each(&[test]));
        all
    }
}

/// The steps of a script, as the scripts themselves announce them.
pub fn of_program(program: &str) -> impl Iterator<Item = &'static TargetStep> {
    let steps = Hgs.steps().iter();
    steps.filter(move |step| step.program == program)
}

/// A stage with an HGS of three nodes, and this in its plan.
pub fn hgs(target: &str) -> Stage {
    let setting = Setting { hgs: true, ..Setting::default() };
    let mut stage = Stage::with(setting, |plan| plan.replace("deployment = \"rotation\"", target));
    stage.walk_to(Done::Register);
    stage
}

/// A stage that is copied only when something is done on it.
#[derive(Clone)]
pub enum Kept {
    Shared(Rc<Stage>),
    Own(Rc<Stage>),
}

impl Kept {
    fn shown(&self) -> &Stage {
        match self {
            Kept::Shared(stage) | Kept::Own(stage) => stage,
        }
    }

    pub fn own(&mut self) -> &Stage {
        if let Kept::Shared(stage) = self {
            *self = Kept::Own(Rc::new(stage.copy()));
        }
        self.shown()
    }
}

/// A cluster and its ceremony, somewhere on the way.
#[derive(Clone)]
pub struct Walk {
    pub stage: Kept,
    pub cluster: Cluster,
    pub token: Rc<Token>,
}

impl Walk {
    pub fn new(stage: Stage) -> Self {
        let folder = Folder::read(&stage.path("hoster/register"));
        let nodes: Vec<String> = folder.brief.nodes.iter().map(ToString::to_string).collect();
        let service = folder.brief.deployment != Some(record::terms::Deployment::New);
        Walk {
            token: Rc::new(Token::of(&stage)),
            cluster: Cluster::new(&nodes, service),
            stage: Kept::Own(Rc::new(stage)),
        }
    }

    pub fn nodes(&self) -> Vec<String> {
        let brief = self.folder().brief;
        brief.nodes.iter().map(ToString::to_string).collect()
    }

    pub fn folder(&self) -> Folder {
        Folder::read(&self.stage.shown().path("hoster/register"))
    }

    /// Whether the order to activate stands.
    pub fn activated(&self) -> bool {
        self.folder().stage() == record::terms::Stage::Active
    }

    /// The same again, on a copy of the stage.
    pub fn copy(&self) -> Self {
        Walk { stage: Kept::Own(Rc::new(self.stage.shown().copy())), ..self.clone() }
    }

    /// The same again, on a stage that is copied when something is done on it.
    pub fn share(&self) -> Self {
        let (Kept::Own(stage) | Kept::Shared(stage)) = &self.stage;
        Walk { stage: Kept::Shared(Rc::clone(stage)), ..self.clone() }
    }

    /// Makes one move; a fault happens before one of its steps.
    ///
    /// # Errors
    /// The step, and the rule by which script or ceremony refuses.
    pub fn go(
        &mut self,
        one: &Move,
        fault: Option<(usize, Fault)>,
    ) -> Result<(), (TargetStep, Rule)> {
        let Move::Script(program, node) = one else {
            let stage = self.stage.own();
            stage.pass("hoster", "primary", &["primary"]);
            stage.hoster(&["primary"]).ok();
            return Ok(());
        };
        let folder = self.folder();
        let mut last = None;
        for (n, step) in of_program(program).enumerate() {
            if let Some((_, fault)) = fault.filter(|(at, _)| *at == n) {
                fault.happens(&mut self.cluster, node, &folder);
            }
            self.cluster.take(step, node, &folder).map_err(|rule| (*step, rule))?;
            last = Some(*step);
        }
        match last.filter(|last| last.name == "prove") {
            Some(prove) => self.add(node, &folder).map_err(|rule| (prove, rule)),
            None => Ok(()),
        }
    }

    /// One script with this folder beside it, at a node.
    ///
    /// # Errors
    /// As [`Walk::go`].
    pub fn script(
        &mut self,
        program: &str,
        node: &str,
        folder: &Folder,
    ) -> Result<(), (TargetStep, Rule)> {
        let mut steps = of_program(program);
        steps.try_for_each(|step| {
            self.cluster.take(step, node, folder).map_err(|rule| (*step, rule))
        })
    }

    /// What the node has proven goes to the real ceremony.
    fn add(&mut self, node: &str, folder: &Folder) -> Result<(), Rule> {
        let seen = self.cluster.seen.clone().expect("it was diagnosed");
        let account = if self.cluster.service { SERVICE } else { "FABRIKAM\\administrator" };
        let said = self.token.statement(&self.cluster, &seen, (node, account), folder);
        match self.given(folder, &said) {
            None => Ok(()),
            Some(rule) => Err(rule),
        }
    }

    /// Gives a statement, rightly signed, to the real ceremony: the rule by which it is refused;
    /// none where it is taken.
    pub fn given(&mut self, folder: &Folder, said: &Statement) -> Option<Rule> {
        let stage = self.stage.own();
        let file = self.token.write(folder, said, &stage.path("medium"));
        let added = || {
            let log = fs::read_to_string(stage.path("hoster/log.jsonl")).unwrap();
            log.matches("\"event\":\"evidence\"").count()
        };
        let before = added();
        let ended = stage.hoster(&["evidence", "add", file.to_str().unwrap()]);
        if ended.code == 0 {
            // The same once more adds nothing.
            let again = ended.out.contains("is in the record already");
            assert_eq!(added(), before + usize::from(!again));
            return None;
        }
        assert_eq!(ended.code, 3, "{}", ended.err);
        assert_eq!(added(), before, "nothing was added");
        let (_, rule) = ended.err.split_once("refused by rule ").expect("a rule is named");
        let (rule, _) = rule.split_once(':').expect("a rule is named");
        Some(Rule::by_name(rule).expect("a rule of the program"))
    }

    /// Goes on until something is refused: in which move from here, at which step, by which rule.
    /// Each step that was taken before the fault has left the cluster as it is without one.
    pub fn until_refused(
        &mut self,
        flow: &[Move],
        fault: (usize, Fault),
    ) -> (usize, TargetStep, Rule) {
        for (n, one) in flow.iter().enumerate() {
            let fault = (n == 0).then_some(fault);
            if let Err((step, rule)) = self.go(one, fault) {
                return (n, step, rule);
            }
        }
        panic!("{fault:?} in {:?} was never noticed", flow[0]);
    }

    /// The register folder after a rollback that starts from here.
    pub fn rolled_back(&self) -> Folder {
        let stage = self.stage.shown().copy();
        stage.pass("hoster", "rollback", &["rollback"]);
        stage.hoster(&["rollback"]).ok();
        Folder::read(&stage.path("hoster/register"))
    }
}
