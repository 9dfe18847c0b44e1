/// MOE_EVERY_WIDTH before a function: compiled once for each width of vectors, chosen when the program starts. For plain loops
/// outside kernels/ whose operations are rounded alike at every width (no contraction, no reassociation), so that bits do not
/// depend on the processor.
#pragma once

// Sanitizers run before what chooses the version can.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define MOE_EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MOE_EVERY_WIDTH
#endif
