//! Runs cmdlets: those that data expresses through `declared`, the others through a handler of
//! their own, named by their row.

mod complete;
mod declared;
mod jim;
mod lookup;
mod names;
mod ndm;
mod output;
mod pages;
mod pipeline;
mod session;
mod wildcard;

pub use complete::complete;
pub use ndm::NdmError;
pub use session::Session;

use crate::binding::{Arguments, Variables};
use crate::catalog::row::Product;
use crate::catalog::{self, Row};
use crate::failure::Failure;
use crate::host::Output;
use crate::protocol::Call;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// One call of one cmdlet, with what it may use.
pub struct Context<'a> {
    pub session: &'a Rc<Session>,
    pub row: Arc<Row>,
    pub arguments: Arguments,
    pub output: &'a Output,
    /// What the client's environment says; see `protocol::Call`.
    pub environment: Map<String, Value>,
    /// See `protocol::Call`.
    pub pipeline: Option<String>,
    /// Held until the change leaves.
    turn: RefCell<Option<pipeline::Turn>>,
}

/// Runs a call to its end. What it writes goes to `output`, what ends it comes back.
pub async fn run(session: &Rc<Session>, call: Call, output: &Output) -> Result<(), Failure> {
    let row = catalog::find(&call.cmdlet).ok_or_else(|| Failure::UnknownCmdlet(call.cmdlet.clone()))?;
    output.product.set(row.product);
    let arguments = Arguments::bind(&row.cmdlet, call.set.as_deref(), call.arguments)?;
    let context = Context {
        session,
        row,
        arguments,
        output,
        environment: call.environment,
        pipeline: call.pipeline,
        turn: RefCell::default(),
    };
    match (context.row.cmdlet.handler.as_deref(), context.row.product) {
        (None, _) => {
            context.take_turn().await;
            declared::run(&context).await
        }
        (Some(handler), Product::Jim) => jim::run(handler, &context).await,
        (Some(handler), Product::Ndm) => ndm::run(handler, &context).await,
    }
}

impl Context<'_> {
    /// Waits until changes of earlier calls of the pipeline have left.
    async fn take_turn(&self) {
        if let Some(mark) = self.pipeline.as_deref().filter(|_| self.row.cmdlet.impact.is_some()) {
            *self.turn.borrow_mut() = Some(self.session.pipelines.turn(mark).await);
        }
    }

    /// A change leaves now; the next call of the pipeline may go on.
    pub fn leaving(&self) {
        self.output.sending();
        self.turn.borrow_mut().take();
    }

    /// "change run profile 7 of connected system 1"
    pub fn action(&self, variables: &Variables<'_>) -> String {
        variables.sentence(&self.row.cmdlet.action)
    }

    /// Type name of the output objects.
    pub fn type_name(&self) -> Option<&str> {
        self.row.cmdlet.output.as_deref()
    }
}
