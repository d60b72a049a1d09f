//! What a sample costs in the kernel: measured, not asserted.
