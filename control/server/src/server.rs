//! Starts and stops the control plane.

use crate::bootstrap::{self, BootstrapError, Facts};
use crate::components::{ComponentError, Components, Settings};
use crate::config::ServerConfig;
use crate::files::{self, FileError};
use crate::in_process::InProcess;
use crate::join_token::{JoinToken, JoinTokenError};
use crate::pki::{self, Pki, PkiConfig, PkiError};
use crate::renewal::{self, Users, now_seconds};
use crate::{ConfigError, address};
use axum::Router;
use keelson_api::identity::UserInfo;
use keelson_apiserver::auth::{Auth, AuthConfig, AuthError};
use keelson_apiserver::serve::tls::{CertificateError, ServerCertificate};
use keelson_apiserver::serve::{self, BindError};
use keelson_apiserver::{ApiConfig, ApiServer, KubeletClient, KubeletClientError};
use keelson_client::Client;
use keelson_store::{OpenError, Options, Store};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("{path}: {source}")]
    JoinToken {
        path: PathBuf,
        #[source]
        source: JoinTokenError,
    },
    #[error("{path}: the join token is for another CA; remove the file to make a new token")]
    ForeignJoinToken { path: PathBuf },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the store cannot be opened: {0}")]
    Store(#[from] OpenError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("the server's certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Kubelet(#[from] KubeletClientError),
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    #[error(transparent)]
    Component(#[from] ComponentError),
}

/// A running control plane.
pub struct Server {
    address: SocketAddr,
    url: String,
    join_token: JoinToken,
    api: ApiServer,
    auth: Arc<Auth>,
    store: Store,
    listener: JoinHandle<()>,
    components: Option<Components>,
    /// Tasks that hold nothing and may be cut off.
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts everything; `/readyz` says yes as soon as controllers and scheduler have read what they follow.
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let begin = Instant::now();
        config.check()?;
        // What an operator can get wrong comes first, before anything is written.
        let address = SocketAddr::new(config.bind_address, config.secure_port);
        let listener = serve::bind(address).await?;
        files::create_dir(&config.state_dir)?;
        let plan = Plan::new(&config)?;
        let store = Store::open(Options::new(config.state_dir.join("store"))).await?;
        match Self::assemble(&config, plan, store.clone(), listener, address).await {
            Ok(server) => {
                let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(url = server.url, milliseconds, "the control plane serves");
                Ok(server)
            }
            Err(error) => {
                store.shutdown().await;
                Err(error)
            }
        }
    }

    async fn assemble(
        config: &ServerConfig,
        plan: Plan,
        store: Store,
        listener: TcpListener,
        address: SocketAddr,
    ) -> Result<Self, ServerError> {
        let Plan { pki, advertise, join_token } = plan;
        let url = format!("https://{}", SocketAddr::new(advertise, config.secure_port));
        let users = users(config, &pki, &url)?;
        let auth = auth(config, &pki, &url, store.clone())?;
        let api = ApiServer::new(api_config(config, advertise, &users), store.clone(), Arc::clone(&auth));
        let facts = Facts {
            kubernetes_address: config.kubernetes_address(),
            dns_address: config.cluster_dns,
            advertise_address: advertise,
            secure_port: config.secure_port,
            ca_pem: pki.authority.certificate_pem.clone(),
            join_token: join_token.clone(),
        };
        let mut server = Self {
            address,
            url,
            join_token,
            listener: spawn_listener(&api, listener, Arc::clone(&users.server)),
            components: None,
            tasks: vec![auth.follow()],
            api,
            auth,
            store,
        };
        if let Err(error) = server.populate(&facts).await {
            server.stop_tasks().await;
            return Err(error);
        }
        let settings = Settings {
            ca_pem: &pki.authority.certificate_pem,
            ca_key_pem: &pki.authority.key_pem,
            cluster_cidr: &config.cluster_cidr.to_string(),
        };
        let components = Components::start(&server.api.router(), &settings)?;
        components.ready_checks(&server.api);
        server.components = Some(components);
        server.start_tasks(pki, users, facts)?;
        server.api.set_ready();
        Ok(server)
    }

    /// Makes the cluster's own objects, and waits until they count.
    async fn populate(&self, facts: &Facts) -> Result<(), ServerError> {
        let client = self.client(bootstrap::identity(), "keelson-server");
        bootstrap::run(&client, facts).await?;
        self.auth.reached(self.store.revision()).await;
        Ok(())
    }

    fn start_tasks(&mut self, pki: Pki, users: Users, facts: Facts) -> Result<(), ServerError> {
        users.write_kubeconfig(&pki)?;
        let itself = self.client(bootstrap::identity(), "keelson-server");
        let aggregation = UserInfo::service_account("kube-system", "clusterrole-aggregation-controller");
        let aggregation = self.client(aggregation, "keelson-clusterrole-aggregation");
        let (repair, expiry, horizon) = (self.api.clone(), self.api.clone(), self.api.clone());
        self.tasks.extend([
            tokio::spawn(renewal::keep_fresh(pki, users)),
            tokio::spawn(bootstrap::keep_endpoints(itself, facts)),
            tokio::spawn(bootstrap::follow_aggregation(aggregation)),
            tokio::spawn(async move { repair.run_repair().await }),
            tokio::spawn(async move { expiry.run_expiry().await }),
            tokio::spawn(async move { horizon.run_horizon().await }),
        ]);
        Ok(())
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://host:port`, as it stands in the administrator's kubeconfig.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What agents join with.
    pub fn join_token(&self) -> &JoinToken {
        &self.join_token
    }

    /// The API, for callers in this process that bring an identity of their own.
    pub fn router(&self) -> Router {
        self.api.router()
    }

    /// A client in this process that is `user`.
    pub fn client(&self, user: UserInfo, user_agent: &str) -> Client {
        InProcess::client(&self.api.router(), user, user_agent)
    }

    /// Stops in order: who writes, then who serves, then the store. What was acknowledged is on disk when this
    /// returns.
    pub async fn shutdown(mut self) {
        if let Some(components) = self.components.take() {
            components.shutdown().await;
        }
        self.stop_tasks().await;
        self.store.shutdown().await;
        tracing::info!("the control plane has stopped");
    }

    async fn stop_tasks(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.api.shutdown();
        if let Err(error) = (&mut self.listener).await {
            tracing::error!(%error, "the listener did not end in order");
        }
    }
}

/// What is decided before anything runs.
struct Plan {
    pki: Pki,
    advertise: IpAddr,
    join_token: JoinToken,
}

impl Plan {
    fn new(config: &ServerConfig) -> Result<Self, ServerError> {
        let advertise = match (config.advertise_address, config.bind_address) {
            (Some(address), _) => address,
            (None, bound) if !bound.is_unspecified() => bound,
            (None, _) => address::own_address(),
        };
        let mut given = vec![address::host_name(), advertise.to_string()];
        if !config.bind_address.is_unspecified() {
            given.push(config.bind_address.to_string());
        }
        given.extend(config.tls_sans.iter().cloned());
        let names = pki::server_names(&config.cluster_domain, config.kubernetes_address().into(), &given);
        let dir = config.state_dir.join("pki");
        let pki = Pki::open(PkiConfig { dir, server_names: names }, now_seconds())?;
        let join_token = join_token(&config.state_dir, &pki)?;
        Ok(Self { pki, advertise, join_token })
    }
}

/// The cluster's join token, made at the first start.
fn join_token(state_dir: &Path, pki: &Pki) -> Result<JoinToken, ServerError> {
    let path = state_dir.join("join-token");
    let wrong = |source| ServerError::JoinToken { path: path.clone(), source };
    match files::read(&path)? {
        Some(text) => {
            let token = JoinToken::parse(&text).map_err(wrong)?;
            if token.ca_hash == pki.authority.hash() {
                Ok(token)
            } else {
                Err(ServerError::ForeignJoinToken { path })
            }
        }
        None => {
            let token = JoinToken::generate(&pki.authority.hash()).map_err(wrong)?;
            files::write_private(&path, format!("{token}\n").as_bytes())?;
            Ok(token)
        }
    }
}

fn users(config: &ServerConfig, pki: &Pki, url: &str) -> Result<Users, ServerError> {
    let chain = renewal::chain(&pki.server, pki);
    let client = &pki.kubelet_client;
    Ok(Users {
        server: ServerCertificate::from_pem(chain.as_bytes(), pki.server.key_pem.as_bytes())?,
        kubelet: KubeletClient::from_pem(
            pki.authority.certificate_pem.as_bytes(),
            client.certificate_pem.as_bytes(),
            client.key_pem.as_bytes(),
        )?,
        admin_kubeconfig: config.admin_kubeconfig.clone(),
        url: url.to_owned(),
    })
}

fn auth(config: &ServerConfig, pki: &Pki, url: &str, store: Store) -> Result<Arc<Auth>, ServerError> {
    let issuer = format!("https://kubernetes.default.svc.{}", config.cluster_domain);
    let auth = AuthConfig {
        client_ca: vec![pki.authority.certificate().clone()],
        signing_key_pem: pki.service_account_key_pem.clone(),
        api_audiences: vec![issuer.clone()],
        issuer,
        jwks_uri: format!("{url}/openid/v1/jwks"),
    };
    Ok(Auth::new(auth, store)?)
}

fn api_config(config: &ServerConfig, advertise: IpAddr, users: &Users) -> ApiConfig {
    ApiConfig {
        service_network: (config.service_cidr.address, config.service_cidr.prefix),
        node_ports: config.node_port_range.first..=config.node_port_range.last,
        advertise: SocketAddr::new(advertise, config.secure_port).to_string(),
        kubelet: Some(Arc::clone(&users.kubelet)),
        event_ttl: config.event_ttl.duration(),
        continue_ttl: config.continue_ttl.duration(),
        ..ApiConfig::default()
    }
}

fn spawn_listener(
    api: &ApiServer,
    listener: TcpListener,
    certificate: Arc<ServerCertificate>,
) -> JoinHandle<()> {
    let api = api.clone();
    tokio::spawn(async move { api.serve_tls(listener, certificate).await })
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
