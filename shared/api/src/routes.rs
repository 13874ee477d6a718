//! A function's endpoints. The router and the OpenAPI document are both built from this list.

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::{
    Caller, Command, Document, Keys, NoContent, Path, Problem, Query, Question, Reply, State,
    gate::{Gate, no_route, pass, wrong_method},
    schema::{closed_schema_of, open_schema_of},
};

const API_PREFIX: &str = "/api/v1/";

/// The description of an endpoint for the OpenAPI document. Its inputs and outputs follow from its handler's types.
#[derive(Debug, Clone)]
pub struct Doc {
    summary: &'static str,
    description: Option<&'static str>,
    problems: Vec<(u16, &'static str)>,
    open: bool,
    decides: bool,
    reads: bool,
}

impl Doc {
    /// An endpoint with this summary.
    #[must_use]
    pub const fn new(summary: &'static str) -> Self {
        Self {
            summary,
            description: None,
            problems: Vec::new(),
            open: false,
            decides: false,
            reads: false,
        }
    }

    /// A longer description.
    #[must_use]
    pub const fn describe(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// A problem that is specific to this endpoint. The problems that every endpoint can answer with are added
    /// automatically.
    #[must_use]
    pub fn problem(mut self, status: u16, when: &'static str) -> Self {
        self.problems.push((status, when));
        self
    }

    /// Decides on a request without approving it, for example rejects it: scope `<segment>:approve`.
    #[must_use]
    pub const fn decides(mut self) -> Self {
        self.decides = true;
        self
    }

    /// Changes nothing, whatever the method: scope `<segment>:read`.
    #[must_use]
    pub const fn reads(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Approves what another owner requested: scope `<segment>:approve`, and 403 for the requester.
    ///
    /// The domain enforces that the approver is another owner than the requester. It compares owners
    /// ([`crate::Owner::as_text`]), not keys: an owner is a person or a desk, whichever of its keys is used.
    /// [`Problem::approval_by_requester`] answers the refusal.
    #[must_use]
    pub fn approves(self) -> Self {
        self.decides().problem(
            403,
            "The owner of the key made the request (`approval-by-requester`).",
        )
    }

    /// Needs no API key.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.open = true;
        self
    }
}

/// An endpoint while its description is being built.
#[derive(Debug, Default)]
pub struct Operation {
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
    problems: Vec<(u16, &'static str)>,
    schemas: Map<String, Value>,
}

impl Operation {
    fn parameters<T: JsonSchema>(&mut self, place: &str) {
        let schema = closed_schema_of::<T>();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        for (name, property) in properties {
            let mut property = property.clone();
            let description = property
                .as_object_mut()
                .and_then(|object| object.remove("description"));
            without_null(&mut property);
            let mut parameter = json!({
                "name": name,
                "in": place,
                "required": place == "path" || required.contains(&name.as_str()),
                "schema": property,
            });
            if let (Some(object), Some(text)) = (parameter.as_object_mut(), description) {
                object.insert("description".into(), text);
            }
            self.parameters.push(parameter);
        }
    }

    /// Takes a body of this type.
    fn takes<T: JsonSchema>(&mut self) {
        let schema = closed_schema_of::<T>();
        // If no field is required, the body can be left out.
        let is_required = schema.get("required").is_some();
        let reference = self.name_schema(schema);
        self.body = Some(json!({
            "required": is_required, "content": { "application/json": { "schema": reference } },
        }));
    }

    fn name_schema(&mut self, schema: Value) -> Value {
        let title = schema.get("title").and_then(Value::as_str);
        match title {
            Some(title) => {
                let name: String = title
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                    .collect();
                let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
                self.schemas.insert(name, schema);
                reference
            }
            None => schema,
        }
    }

    /// Adds an answer with this status and a JSON body of this type.
    pub fn answers<A: JsonSchema>(&mut self, status: u16) {
        self.answer(status, Some(open_schema_of::<A>()));
    }

    fn answer(&mut self, status: u16, schema: Option<Value>) {
        let mut answer = json!({ "description": "Done." });
        if let (Some(object), Some(schema)) = (answer.as_object_mut(), schema) {
            let reference = self.name_schema(schema);
            object.insert(
                "content".into(),
                json!({ "application/json": { "schema": reference } }),
            );
        }
        self.answers.insert(status.to_string(), answer);
    }

    /// Adds another media type to the answer with this status.
    pub fn also(&mut self, status: u16, media: &str, schema: &Value) {
        if let Some(answer) = self.answers.get_mut(&status.to_string()) {
            answer["content"][media] = json!({ "schema": schema });
        }
    }

    fn problem(&mut self, status: u16, when: &'static str) {
        self.problems.push((status, when));
    }
}

/// Removes null from a parameter's schema: a parameter is present or absent, never null.
fn without_null(property: &mut Value) {
    let Some(object) = property.as_object_mut() else {
        return;
    };
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(kinds)) = object.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
}

/// An input of a handler, as the OpenAPI document describes it.
pub trait Input {
    /// Adds this input to the operation's documentation.
    fn describe(operation: &mut Operation);
}

impl<S> Input for State<S> {
    fn describe(_: &mut Operation) {}
}

impl Input for Caller {
    fn describe(_: &mut Operation) {}
}

impl<T: JsonSchema> Input for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters::<T>("query");
        operation.problem(400, "A parameter is not valid; the violations are named.");
    }
}

impl<T: JsonSchema> Input for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters::<T>("path");
        operation.problem(400, "A parameter is not valid; the violations are named.");
    }
}

impl<T: JsonSchema> Input for Command<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Names this request. A repeat gets the first answer, with Idempotency-Replayed: true.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
        }));
        operation.parameters.push(json!({
            "name": "X-Correlation-Id", "in": "header", "required": false,
            "description": "The chain that the events of this request belong to.",
            "schema": { "type": "string", "format": "uuid" },
        }));
        for (name, what) in [
            ("X-User-Id", "The user for whom the caller acts"),
            ("X-Session-Id", "The user's session"),
            (
                "X-Tenant-Id",
                "The tenant: a filter, not a security boundary",
            ),
        ] {
            operation.parameters.push(json!({
                "name": name, "in": "header", "required": false,
                "description": format!("{what}; recorded in the metadata of the events of this request."),
                "schema": { "type": "string", "minLength": 1, "maxLength": 256 },
            }));
        }
        operation.takes::<T>();
        operation.problem(
            400,
            "The Idempotency-Key is missing, a header is not valid, or the body is not JSON.",
        );
        operation.problem(413, "The body is over 256 KB.");
        operation.problem(
            422,
            "The body is not valid and the violations are named, or the key was used with another body.",
        );
    }
}

impl<T: JsonSchema> Input for Question<T> {
    fn describe(operation: &mut Operation) {
        operation.takes::<T>();
        operation.problem(400, "The body is not JSON.");
        operation.problem(413, "The body is over 256 KB.");
        operation.problem(422, "The body is not valid; the violations are named.");
    }
}

impl Input for Document {
    fn describe(operation: &mut Operation) {
        operation.body = Some(json!({
            "required": true, "content": { "application/json": { "schema": {} } },
        }));
        operation.problem(400, "The body is not JSON.");
        operation.problem(413, "The body is over 256 KB.");
    }
}

/// An output of a handler, as the OpenAPI document describes it.
pub trait Output {
    /// Adds this output to the operation's documentation.
    fn describe(operation: &mut Operation);
}

impl<A: JsonSchema, const STATUS: u16> Output for Reply<A, STATUS> {
    fn describe(operation: &mut Operation) {
        operation.answers::<A>(STATUS);
    }
}

impl Output for NoContent {
    fn describe(operation: &mut Operation) {
        operation.answer(204, None);
    }
}

impl<O: Output> Output for Result<O, Problem> {
    fn describe(operation: &mut Operation) {
        O::describe(operation);
    }
}

/// A handler whose inputs and output can be described. Implemented for async functions of up to five extractors that
/// implement [`Input`] and a result that implements [`Output`]. The compiler infers `I` and `O`.
#[diagnostic::on_unimplemented(
    message = "not a documented handler",
    note = "the arguments are State, Caller, Path, Query and, last, Command or Question; the result is Result<Reply<…>, Problem> or NoContent"
)]
pub trait Described<I, O> {
    /// Adds the handler's inputs and output to the operation's documentation.
    fn describe(operation: &mut Operation);
}

macro_rules! described {
    ($($input:ident),*) => {
        impl<F, Fut, O, $($input),*> Described<($($input,)*), O> for F
        where
            F: FnOnce($($input),*) -> Fut,
            Fut: Future<Output = O>,
            O: Output,
            $($input: Input,)*
        {
            fn describe(operation: &mut Operation) {
                $($input::describe(operation);)*
                O::describe(operation);
            }
        }
    };
}

described!();
described!(A1);
described!(A1, A2);
described!(A1, A2, A3);
described!(A1, A2, A3, A4);
described!(A1, A2, A3, A4, A5);

struct Route<S> {
    path: &'static str,
    method: Method,
    scope: Option<String>,
    handler: MethodRouter<S>,
    doc: Doc,
    // Called only for the document, so a function that only serves requests builds no schemas at its start.
    describe: fn(&mut Operation),
}

/// The document's entry for one route.
#[derive(Debug, Clone)]
pub(crate) struct RouteDoc {
    pub(crate) path: &'static str,
    pub(crate) method: Method,
    pub(crate) operation: Value,
    pub(crate) schemas: Map<String, Value>,
}

/// The endpoints of a function whose handlers share the state `S`.
pub struct Routes<S> {
    function: &'static str,
    routes: Vec<Route<S>>,
}

impl<S> std::fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes")
            .field("function", &self.function)
            .field("routes", &self.routes.len())
            .finish()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// An empty list. `function` is the function's name, which becomes the tag of its endpoints in the document.
    #[must_use]
    pub const fn new(function: &'static str) -> Self {
        Self {
            function,
            routes: Vec::new(),
        }
    }

    /// A GET endpoint; scope `<segment>:read`.
    #[must_use]
    pub fn get<H, T, I, O>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, S> + Described<I, O>,
        T: 'static,
    {
        self.add(Method::GET, MethodFilter::GET, path, handler, doc)
    }

    /// A POST endpoint; scope `<segment>:write`.
    #[must_use]
    pub fn post<H, T, I, O>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, S> + Described<I, O>,
        T: 'static,
    {
        self.add(Method::POST, MethodFilter::POST, path, handler, doc)
    }

    /// A PUT endpoint; scope `<segment>:write`.
    #[must_use]
    pub fn put<H, T, I, O>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, S> + Described<I, O>,
        T: 'static,
    {
        self.add(Method::PUT, MethodFilter::PUT, path, handler, doc)
    }

    /// A PATCH endpoint; scope `<segment>:write`.
    #[must_use]
    pub fn patch<H, T, I, O>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, S> + Described<I, O>,
        T: 'static,
    {
        self.add(Method::PATCH, MethodFilter::PATCH, path, handler, doc)
    }

    /// A DELETE endpoint; scope `<segment>:write`.
    #[must_use]
    pub fn delete<H, T, I, O>(self, path: &'static str, handler: H, doc: Doc) -> Self
    where
        H: Handler<T, S> + Described<I, O>,
        T: 'static,
    {
        self.add(Method::DELETE, MethodFilter::DELETE, path, handler, doc)
    }

    fn add<H, T, I, O>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        handler: H,
        doc: Doc,
    ) -> Self
    where
        H: Handler<T, S> + Described<I, O>,
        T: 'static,
    {
        self.routes.push(Route {
            path,
            scope: (!doc.open).then(|| scope_of(&method, path, &doc)),
            method,
            handler: on(filter, handler),
            doc,
            describe: H::describe,
        });
        self
    }

    /// The OpenAPI 3.1 document of these endpoints. [`crate::merge`] joins the documents of several functions.
    #[must_use]
    pub fn openapi(&self) -> Value {
        let routes = self.routes.iter().map(|route| {
            let mut operation = Operation::default();
            (route.describe)(&mut operation);
            document(self.function, route, operation)
        });
        crate::openapi::document_of(self.function, routes)
    }

    /// Method and path of every endpoint, as in the document. A test compares them with the template's routes.
    pub fn endpoints(&self) -> impl Iterator<Item = (Method, &'static str)> {
        self.routes
            .iter()
            .map(|route| (route.method.clone(), route.path))
    }

    /// The router: every endpoint behind its API key and scope, and 404 or 405 for everything else.
    pub fn router(self, state: S, keys: &Keys) -> Router {
        let mut router = Router::new();
        for route in self.routes {
            let gate = Arc::new(Gate {
                route: route.path,
                scope: route.scope,
                keys: keys.clone(),
            });
            let handler = route.handler.route_layer(from_fn_with_state(gate, pass));
            router = router.route(route.path, handler);
        }
        router
            .fallback(no_route)
            .method_not_allowed_fallback(wrong_method)
            .with_state(state)
    }
}

fn scope_of(method: &Method, path: &str, doc: &Doc) -> String {
    let segment = path
        .strip_prefix(API_PREFIX)
        .unwrap_or(path)
        .split('/')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let access = if doc.decides {
        "approve"
    } else if doc.reads || *method == Method::GET {
        "read"
    } else {
        "write"
    };
    format!("{segment}:{access}")
}

/// A response with a problem, as OpenAPI describes it.
#[must_use]
pub fn problem_response(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn document<S>(function: &'static str, route: &Route<S>, mut operation: Operation) -> RouteDoc {
    let (path, method, doc) = (route.path, &route.method, &route.doc);
    let scope = route.scope.as_deref();
    if scope.is_some() {
        operation.problem(401, "The API key is missing or unknown.");
        operation.problem(403, "The API key lacks the scope.");
        operation.problem(503, "Not available; safe to send again after Retry-After.");
    }
    operation.problems.extend_from_slice(&doc.problems);
    let mut responses = operation.answers;
    for (status, when) in operation.problems {
        let answer = responses
            .entry(status.to_string())
            .or_insert_with(|| problem_response(""));
        // Several reasons for one status are listed together.
        if let Some(description) = answer.get_mut("description") {
            let text = description.as_str().unwrap_or_default();
            if !text.contains(when) {
                let joined = if text.is_empty() {
                    when.to_owned()
                } else {
                    format!("{text} {when}")
                };
                *description = joined.into();
            }
        }
    }
    let mut document = json!({
        "operationId": operation_id(method, path),
        "tags": [function],
        "summary": doc.summary,
        "responses": responses,
        "security": match scope {
            Some(_) => json!([{ "api_key": [] }]),
            None => json!([]),
        },
    });
    if let Some(object) = document.as_object_mut() {
        let words = match (doc.description, scope) {
            (Some(text), Some(scope)) => Some(format!("{text}\n\nScope: `{scope}`.")),
            (None, Some(scope)) => Some(format!("Scope: `{scope}`.")),
            (Some(text), None) => Some(text.to_owned()),
            (None, None) => None,
        };
        if let Some(words) = words {
            object.insert("description".into(), words.into());
        }
        if !operation.parameters.is_empty() {
            object.insert("parameters".into(), operation.parameters.into());
        }
        if let Some(body) = operation.body {
            object.insert("requestBody".into(), body);
        }
    }
    RouteDoc {
        path,
        method: method.clone(),
        operation: document,
        schemas: operation.schemas,
    }
}

fn operation_id(method: &Method, path: &str) -> String {
    let rest = path.strip_prefix(API_PREFIX).unwrap_or(path);
    rest.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .fold(method.as_str().to_ascii_lowercase(), |id, part| {
            format!("{id}_{part}")
        })
}
