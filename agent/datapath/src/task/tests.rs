//! The whole data plane of a node against an API that says what the test wants, spoken to as the plugin would.

use crate::lab::{self, Cgroup, Namespace};
use crate::{Datapath, DatapathConfig, Mode};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use keelson_client::{BoxError, Client, ResponseBody, Transport, TransportError};
use keelson_proto::cni::{Command, Reply, Request, code};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// Lists what it holds; watches stay open and carry what is sent. Models: lists, watch frames.
struct Api {
    nodes: Vec<Value>,
    /// Later states of the nodes, and of the pods.
    node_frames: Mutex<Option<mpsc::Receiver<Value>>>,
    pods: Mutex<Option<mpsc::Receiver<Value>>>,
}

impl Transport for Api {
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<ResponseBody>, TransportError>> {
        let uri = request.uri().to_string();
        let body = if uri.contains("watch=") {
            let frames = match &uri {
                uri if uri.contains("/pods") => self.pods.lock().take(),
                uri if uri.contains("/nodes") => self.node_frames.lock().take(),
                _ => None,
            };
            stream(frames)
        } else {
            let items = if uri.contains("/nodes") { self.nodes.clone() } else { Vec::new() };
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": items});
            ResponseBody::new(Full::new(Bytes::from(list.to_string())).map_err(|never| match never {}))
        };
        Box::pin(async move { Ok(http::Response::new(body)) })
    }
}

fn stream(frames: Option<mpsc::Receiver<Value>>) -> ResponseBody {
    let frames = futures::stream::unfold(frames, |mut frames| async move {
        let Some(source) = &mut frames else { return std::future::pending().await };
        let value = source.recv().await?;
        Some((Ok::<_, BoxError>(Frame::data(Bytes::from(format!("{value}\n")))), frames))
    });
    ResponseBody::new(StreamBody::new(frames))
}

fn pod_event(name: &str) -> Value {
    let metadata =
        json!({"namespace": "default", "name": name, "uid": format!("uid-{name}"), "resourceVersion": "8"});
    json!({"type": "ADDED", "object": {"metadata": metadata, "spec": {"nodeName": "one"}}})
}

fn request(command: Command, pod: &Namespace, name: &str) -> Request {
    let args =
        [("K8S_POD_NAMESPACE", "default"), ("K8S_POD_NAME", name), ("K8S_POD_UID", &format!("uid-{name}"))]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
    Request {
        command,
        container_id: pod.name.clone(),
        netns: pod.path().display().to_string(),
        ifname: "eth0".to_owned(),
        args: BTreeMap::from(args),
        config: json!({"cniVersion": "1.0.0", "name": "keelson", "type": "keelson-cni"}),
    }
}

async fn ask(socket: &Path, request: &Request) -> Reply {
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    stream.write_all(&serde_json::to_vec(request).unwrap()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    serde_json::from_slice(&reply).unwrap()
}

fn config(folder: &Path, cgroup: &Cgroup) -> DatapathConfig {
    let below = cgroup.path.file_name().unwrap().to_str().unwrap();
    DatapathConfig {
        node_name: "one".to_owned(),
        node_ip: "192.168.7.1".parse().unwrap(),
        outer_interface: "eth0".to_owned(),
        state_dir: folder.join("state"),
        socket: folder.join("run/cni.sock"),
        pin_dir: folder.join("bpf/keelson"),
        cgroup_root: format!("/{below}"),
        service_cidr: "10.96.0.0/12".to_owned(),
        cluster_cidr: "10.244.0.0/16".to_owned(),
        cluster_dns: "10.96.0.10".parse().unwrap(),
        vxlan_port: 8472,
        cni_conf_dir: folder.join("net.d"),
        mode: Mode::Ebpf,
    }
}

#[test]
fn add_is_answered_when_the_view_has_the_pod_and_refused_when_it_never_does() {
    let (switch, node, bpffs, cgroup) =
        (lab::switch(), Namespace::new("one"), lab::BpfFs::mount(), Cgroup::new());
    lab::wire(&switch, &node, "192.168.7.1");
    let (known, unknown) = (Namespace::new("known"), Namespace::new("unknown"));
    let config = config(bpffs.folder.path(), &cgroup);
    node.run(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(scenario(config, &known, &unknown));
    });
}

async fn scenario(config: DatapathConfig, known: &Namespace, unknown: &Namespace) {
    let (pods, frames) = mpsc::channel(4);
    let mut node = json!({
        "metadata": {"name": "one", "resourceVersion": "5"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.7.1"}]},
    });
    let (later, node_frames) = mpsc::channel(1);
    let api = Arc::new(Api {
        nodes: vec![node.clone()],
        node_frames: Mutex::new(Some(node_frames)),
        pods: Mutex::new(Some(frames)),
    });
    let datapath = Datapath::start(config.clone(), Client::new(api, "test")).await.unwrap();
    let conf = config.cni_conf_dir.join("05-keelson.conflist");
    // A node is given its range after it has registered.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!conf.exists(), "the runtime is told of no network that cannot be had");
    (node["spec"], node["metadata"]["resourceVersion"]) = (json!({"podCIDR": "10.244.1.0/24"}), json!("8"));
    later.send(json!({"type": "MODIFIED", "object": node})).await.unwrap();
    for _ in 0..200 {
        if conf.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let conf: Value = serde_json::from_slice(&std::fs::read(conf).unwrap()).unwrap();
    assert_eq!(conf["plugins"][0]["socket"], json!(config.socket));
    let socket = config.socket.as_path();

    // A pod that the view gets to know while ADD waits.
    let begun = Instant::now();
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        pods.send(pod_event("known")).await.unwrap();
    };
    let add = request(Command::Add, known, "known");
    let (reply, ()) = tokio::join!(ask(socket, &add), late);
    assert!(begun.elapsed() >= Duration::from_millis(300), "the answer waits for the view");
    let Reply::Ok(Some(result)) = reply else { panic!("{reply:?}") };
    assert_eq!(result["ips"][0]["address"], "10.244.1.1/32");
    assert_eq!(ask(socket, &add).await, Reply::Ok(Some(result)), "a repeated ADD gets what it has");
    assert_eq!(ask(socket, &request(Command::Check, known, "known")).await, Reply::Ok(None));
    assert_eq!(ask(socket, &request(Command::Status, known, "known")).await, Reply::Ok(None));

    // One that it never gets to know.
    let reply = ask(socket, &request(Command::Add, unknown, "unknown")).await;
    assert!(matches!(&reply, Reply::Error(error) if error.code == code::TRY_AGAIN), "{reply:?}");
    assert_eq!(datapath.status().await.unwrap().pods, 1, "nothing is left of it");

    // The runtime knows the sandbox no more.
    let handle = datapath.handle();
    let attached = handle.attached().await.unwrap();
    assert_eq!(attached.iter().map(|a| a.sandbox.as_str()).collect::<Vec<_>>(), [known.name.as_str()]);
    assert!(attached[0].since.elapsed().unwrap() < Duration::from_secs(60));
    assert_eq!(handle.release(["another".to_owned()].into()).await, 0);
    assert_eq!(handle.release([known.name.clone()].into()).await, 1);
    assert_eq!(handle.attached().await, Some(Vec::new()));
    let check = ask(socket, &request(Command::Check, known, "known")).await;
    assert!(matches!(&check, Reply::Error(error) if error.code == code::UNKNOWN_CONTAINER), "{check:?}");
    assert_eq!(ask(socket, &request(Command::Del, known, "known")).await, Reply::Ok(None));
    for bad in ["{", "[]", r#"{"command":"PLAY","config":{}}"#] {
        let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        stream.write_all(bad.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        let reply: Reply = serde_json::from_slice(&reply).unwrap();
        assert!(matches!(&reply, Reply::Error(error) if error.code == code::DECODING_FAILURE), "{reply:?}");
    }
    datapath.shutdown().await;
}
