//! A command at a real pseudo-terminal: what is typed, what is on the screen, its size and its end.

use super::wait::eventually;
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

nix::ioctl_write_ptr_bad!(set_size, libc::TIOCSWINSZ, Winsize);

const LIMIT: Duration = Duration::from_secs(30);

/// The command's terminal, seen from the side of who sits at it.
pub struct Terminal {
    child: Child,
    master: File,
    screen: Arc<Mutex<String>>,
}

const fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// Starts `command` as the leader of a session whose controlling terminal has this size.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Self {
        let pty = openpty(Some(&size(rows, columns)), None).expect("a pseudo-terminal can be made");
        let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor can be copied"));
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: setsid and ioctl are async-signal-safe and the only calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                nix::errno::Errno::result(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
                Ok(())
            });
        }
        let child = command.spawn().expect("the command starts");
        // Else the terminal outlives the command and its reader never ends.
        drop((command, pty.slave));
        let master = File::from(pty.master);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reader, shown) = (master.try_clone().expect("a descriptor can be copied"), screen.clone());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..count]));
            }
        });
        Self { child, master, screen }
    }

    /// Types `keys`.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until `text` was shown since the last call, and forgets everything before its end.
    pub fn see(&mut self, text: &str) {
        eventually(&format!("{text:?} on the screen"), LIMIT, || {
            let mut screen = self.screen.lock().unwrap();
            let Some(at) = screen.find(text) else { return Err(format!("{screen:?}")) };
            screen.drain(..at + text.len());
            Ok(())
        });
    }

    /// The window gets another size; its foreground process hears of it.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        // SAFETY: the descriptor is open and the structure lives through the call.
        unsafe { set_size(self.master.as_raw_fd(), &size(rows, columns)) }.expect("the size can be set");
    }

    /// The command's exit code, once it has ended.
    pub fn end(mut self) -> i32 {
        eventually("the end of the command", LIMIT, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.code().unwrap_or(-1)),
            _ => Err(format!("{:?}", self.screen.lock().unwrap())),
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
