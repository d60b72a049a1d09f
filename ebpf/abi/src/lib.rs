//! Layouts and limits that the kernel-side programs and the agent share.
#![no_std]
#![forbid(unsafe_code)]
