//! `multirnet serve`: a server with a viewer.

use crate::commands::pacs::tell;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::model::ModelArguments;
use crate::output::{print, say};
use crate::predicting::PredictArguments;
use crate::stop;
use multirnet::StopToken;
use multirnet_finding::NOTICE;
use multirnet_infer::Catalogue;
use multirnet_pacs::ListenerOptions;
use multirnet_pacs::config::Config as PacsConfig;
use multirnet_server::config::ServerConfig;
use multirnet_server::{Analyser, Server, models};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Run a server: scans are uploaded or sent, analysed once each, and read and corrected in a browser
///
/// Prints a link that opens the viewer. Other machines reach the server only by an address other than
/// 127.0.0.1, and then a file of tokens or a reverse proxy's header must say who may come in. Ctrl-C
/// ends the program; the same command goes on where it stopped.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  multirnet serve\n  multirnet serve --data /var/lib/multirnet --pacs configs/pacs.toml\n  multirnet serve --config configs/server.toml\n\ndocs/server.md explains the rest."
)]
pub struct Serve {
    /// Configuration (TOML); flags go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Folder of scans, results and the database (default: multirnet-data)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Address and port (default: 127.0.0.1:8042)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Folder of further models
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,

    /// Scans below this folder may be analysed where they lie; may be given several times
    #[arg(long, value_name = "DIR")]
    allow_root: Vec<PathBuf>,

    /// File of tokens: `NAME TOKEN` in a line
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Configuration of the DICOM listener (TOML), whose studies are analysed too
    #[arg(long, value_name = "FILE")]
    pacs: Option<PathBuf>,

    /// Scans analysed at a time (default: 2)
    #[arg(long, value_name = "N")]
    workers: Option<usize>,

    #[command(flatten)]
    model: ModelArguments,
}

impl Serve {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        let stop = stop::saving()?;
        let mut config = match &self.config {
            Some(path) => ServerConfig::read(path)?,
            None => ServerConfig::default(),
        };
        config.data = self.data.unwrap_or(config.data);
        config.listen = self.listen.unwrap_or(config.listen);
        config.models = self.models.or(config.models);
        config.allow_roots.extend(self.allow_root);
        config.access.token_file = self.token_file.or(config.access.token_file);
        config.analysis.workers = self.workers.unwrap_or(config.analysis.workers);
        config.check()?;
        let pacs = self.pacs.as_deref().map(PacsConfig::read).transpose()?;
        let mut analyser = analyser(&config, self.model)?;
        if let Some(pacs) = &pacs {
            // Archives get results as the listener's own configuration says.
            analyser.results = pacs.results.clone();
            let own = &pacs.analysis;
            if own.model.is_some() || own.options.is_some() || own.memory_limit_mib.is_some() {
                say(
                    "The server's own model, options and memory count, and not those of the listener's \
                     configuration.",
                );
            }
        }
        serve(config, analyser, pacs.as_ref(), &context, stop, |_| Ok(()))
    }
}

/// The model and the options that `config` names. Flags in `arguments` go before it.
pub fn analyser(config: &ServerConfig, mut arguments: ModelArguments) -> Outcome<Analyser> {
    let named = config.analysis.model.as_ref().map(PathBuf::from);
    arguments.model = arguments.model.or(named);
    // A name may be one of the server's own folder of models.
    if let Some(name) = &arguments.model
        && !Catalogue::is_path(&name.to_string_lossy())
        && let Some(folder) = &config.models
    {
        let entries = models(Some(folder)).list();
        let found = entries
            .iter()
            .find(|e| OsStr::new(&e.name) == name.as_os_str() && !e.hidden);
        if let Some(multirnet_infer::ModelSource::File(path)) = found.map(|e| &e.source) {
            arguments.model = Some(path.clone());
        }
    }
    let model = arguments.load()?;
    let changes = PredictArguments {
        config: config.analysis.options.clone(),
        ..PredictArguments::default()
    };
    let options = changes.options(&model)?;
    Ok(Analyser {
        model,
        options,
        results: config.analysis.results(),
        idle: multirnet_kernels::allocator::give_back,
    })
}

/// Runs a server until `stop` is raised. `begin` is called once it is bound.
pub fn serve(
    config: ServerConfig,
    analyser: Analyser,
    pacs: Option<&PacsConfig>,
    context: &Context,
    stop: StopToken,
    begin: impl FnOnce(&Server) -> Outcome,
) -> Outcome {
    let trained_on = analyser.model.card().trained_on.clone();
    let data = config.data.display().to_string();
    // Without an audit log nobody would learn that an archive is down.
    let options = ListenerOptions {
        watch: Some(Arc::new(tell)),
        ..ListenerOptions::default()
    };
    let server = Server::bind(config, analyser, pacs, options, stop.clone())?;
    begin(&server)?;
    say(&format!("{NOTICE} Model: {trained_on}"));
    say(&format!("Scans, results and the database lie in {data}."));
    if let Some((title, address)) = server.listener() {
        say(&format!("{title} takes studies in on {address}."));
    }
    let link = server.link();
    match context.json {
        true => print(&crate::output::to_json(
            &serde_json::json!({ "link": link }),
        )?)?,
        false => print(&format!("viewer: {link}\n"))?,
    }
    say(
        "Keep the link to yourself: whoever has it may read and change everything. Press Ctrl-C to end.",
    );
    server.run()?;
    match stop.is_raised() {
        true => Err(Failure::stopped()),
        false => Err(Failure::new(Exit::Internal, "the server ended by itself")),
    }
}
