//! The first process of a pod sandbox: holds its namespaces open, reaps what is orphaned in a shared PID
//! namespace, and ends on SIGTERM or SIGINT. No libc, no allocation, no input.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

// The kernel enters with the stack pointer 16-byte aligned; a call makes it what the ABI wants.
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {main}", "ud2", main = sym main);

const SYS_RT_SIGPROCMASK: usize = 14;
const SYS_EXIT: usize = 60;
const SYS_WAIT4: usize = 61;
const SYS_RT_SIGTIMEDWAIT: usize = 128;

const SIGINT: usize = 2;
const SIGTERM: usize = 15;
const SIGCHLD: usize = 17;

const SIG_BLOCK: usize = 0;
const WNOHANG: usize = 1;
/// The size of the kernel's signal set in bytes.
const SIGSET_SIZE: usize = 8;

const fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

extern "C" fn main() -> ! {
    let set = bit(SIGINT) | bit(SIGTERM) | bit(SIGCHLD);
    let set_at = &raw const set as usize;
    // Blocked signals wait for us: PID 1 has no default actions to rely on.
    syscall(SYS_RT_SIGPROCMASK, [SIG_BLOCK, set_at, 0, SIGSET_SIZE]);
    loop {
        match syscall(SYS_RT_SIGTIMEDWAIT, [set_at, 0, 0, SIGSET_SIZE]) as usize {
            SIGINT | SIGTERM => {
                syscall(SYS_EXIT, [0; 4]);
            }
            // Several children may have ended for one signal.
            SIGCHLD => while syscall(SYS_WAIT4, [usize::MAX, 0, WNOHANG, 0]) > 0 {},
            _ => {}
        }
    }
}

fn syscall(number: usize, args: [usize; 4]) -> isize {
    let result;
    // SAFETY: the calls made here take integers and the address of `set`, which outlives them; the kernel
    // clobbers rcx and r11 only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        syscall(SYS_EXIT, [1, 0, 0, 0]);
    }
}
