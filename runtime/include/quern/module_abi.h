/*===- module_abi.h - what a compiled module and the runtime agree on ------===
 *
 * Part of Quern, under the Apache License v2.0; see LICENSE.
 *
 * The compiler writes these structures into a module, the runtime reads them;
 * nothing else crosses between the two except the manifest (a FlatBuffer,
 * runtime/src/manifest.fbs). Plain C, fixed sizes, little endian, 64 bit.
 *
 * A module file (.qbm), from its first byte:
 *
 *   ELF shared object   kernels and the table `quern_module_table`
 *   zeros               up to a multiple of QUERN_MANIFEST_ALIGN
 *   manifest            FlatBuffer
 *   zeros               up to a multiple of QUERN_TOKENIZER_ALIGN
 *   tokenizer           blob of runtime/tokenizer; may be empty
 *   zeros               up to a multiple of QUERN_WEIGHTS_ALIGN
 *   weights             stored constants, where the manifest's data table says
 *   zeros               up to a multiple of QUERN_TRAILER_ALIGN
 *   trailer             quern_trailer, the last 128 bytes of the file
 *
 *===----------------------------------------------------------------------===*/

#ifndef QUERN_MODULE_ABI_H
#define QUERN_MODULE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the kernel signature, the table, the linked image and the
 *  manifest. */
#define QUERN_ABI_VERSION 4u

/** Version of the file layout above and of the trailer. */
#define QUERN_FILE_VERSION 2u

/** First eight bytes of the trailer. */
#define QUERN_FILE_MAGIC "QUERNQBM"

/** Dynamic symbol of the quern_kernel_table in a module's ELF part. */
#define QUERN_TABLE_SYMBOL "quern_module_table"

#define QUERN_MANIFEST_ALIGN 4096u
#define QUERN_TOKENIZER_ALIGN 64u
#define QUERN_WEIGHTS_ALIGN 4096u
#define QUERN_TRAILER_ALIGN 64u

/** Alignment of every constant, buffer and scratch area given to a kernel. */
#define QUERN_DATA_ALIGN 64u

/** Every buffer can be read and written this far beyond its last unit: rows
 *  of slack (of the buffer's bytes per unit) and then bytes. */
#define QUERN_SLACK_ROWS 32u
#define QUERN_SLACK_BYTES 64u

/** Bits of a kernel's flags. */
#define QUERN_FLAG_TAPS                                                        \
  1 /**< Tap operands are there and are to be written.                         \
     */

/**
 * A kernel: does the chunks [begin, end) of one step. Chunks are independent;
 * each may run on any thread, in any order and any grouping, and writes the
 * same bytes whatever the grouping.
 *
 * buffers    addresses of the step's operands in the manifest's order; taps
 *            come last and are null unless QUERN_FLAG_TAPS is set
 * tokens     number of tokens of this run
 * sequences  number of sequences of this run
 * flags      QUERN_FLAG_*
 * scratch    the thread's own memory, QUERN_DATA_ALIGN aligned, of the
 *            manifest's scratch_bytes; contents are arbitrary on entry
 */
typedef void (*quern_kernel)(void *const *buffers, int64_t tokens,
                             int64_t sequences, int64_t flags, int64_t begin,
                             int64_t end, void *scratch);

/** Instruction tiers. A higher number is preferred where it can run. */
typedef enum quern_tier_id {
  QUERN_TIER_SCALAR = 0,      /**< any x86-64, without vectors: a reference */
  QUERN_TIER_SSE2 = 2,        /**< any x86-64 */
  QUERN_TIER_SSE41 = 5,       /**< x86-64 and SSE4.1 */
  QUERN_TIER_AVX2 = 10,       /**< x86-64-v3 */
  QUERN_TIER_AVXVNNI = 15,    /**< x86-64-v3 and AVX-VNNI */
  QUERN_TIER_AVX512BW = 20,   /**< x86-64-v4 */
  QUERN_TIER_AVX512VNNI = 30, /**< x86-64-v4, VNNI and VBMI */
  QUERN_TIER_AMX = 40,        /**< the last one and AMX-INT8 */
  QUERN_TIER_CUDA = 100
} quern_tier_id;

/** The kernels of one tier, by kernel index of the manifest. A null entry
 *  means that the tier has no kernel of its own: the best lower tier is taken.
 *  The lowest tier has every kernel. */
typedef struct quern_tier {
  uint32_t id; /**< quern_tier_id */
  uint32_t kernel_count;
  const quern_kernel *kernels;
} quern_tier;

/** What the symbol QUERN_TABLE_SYMBOL is. Tiers ascend by id.
 *
 *  Kernels have the sizes of their operands inside and check nothing, so a
 *  module's code says which manifest and weights it was made for: a manifest
 *  that says something else of them would have it read and write out of bounds.
 */
typedef struct quern_kernel_table {
  uint32_t abi_version; /**< QUERN_ABI_VERSION */
  uint32_t tier_count;
  const quern_tier *tiers;
  /** XXH64 (seed 0) of the two sections; 0 where they cannot be exchanged,
   *  because they are linked into the program with the code. */
  uint64_t manifest_xxh64;
  uint64_t weights_xxh64;
} quern_kernel_table;

/** Sections of a file, in file order. */
typedef enum quern_section_id {
  QUERN_SECTION_CODE = 0,
  QUERN_SECTION_MANIFEST = 1,
  QUERN_SECTION_TOKENIZER = 2,
  QUERN_SECTION_WEIGHTS = 3
} quern_section_id;

#define QUERN_SECTION_COUNT 4u

/** Where a section is: bytes from the start of the file, bytes without the
 *  padding, and XXH64 (seed 0) of them. */
typedef struct quern_section {
  uint64_t offset;
  uint64_t bytes;
  uint64_t xxh64;
} quern_section;

/** The last bytes of a module file. */
typedef struct quern_trailer {
  char magic[8];          /**< QUERN_FILE_MAGIC, no terminator */
  uint32_t version;       /**< QUERN_FILE_VERSION */
  uint32_t section_count; /**< QUERN_SECTION_COUNT */
  uint64_t file_bytes;    /**< size of the file, this trailer included */
  quern_section sections[QUERN_SECTION_COUNT];
  uint64_t xxh64; /**< XXH64 (seed 0) of the 120 bytes before this field */
} quern_trailer;

/**
 * A module linked into a program (`--emit obj`, `--emit exe`). The emitted C
 * header declares one under the module's name; quern_module_open_linked takes
 * its address. The weights are aligned to at least QUERN_DATA_ALIGN, the
 * manifest and the tokenizer to 8.
 */
typedef struct quern_linked_image {
  uint32_t abi_version; /**< QUERN_ABI_VERSION */
  uint32_t reserved;    /**< 0 */
  const quern_kernel_table *table;
  const void *manifest;
  uint64_t manifest_bytes;
  const void *tokenizer;
  uint64_t tokenizer_bytes;
  const void *weights;
  uint64_t weights_bytes;
} quern_linked_image;

#ifdef __cplusplus
}

static_assert(sizeof(quern_tier) == 16 && sizeof(quern_kernel_table) == 32,
              "the compiler writes these by field");
static_assert(sizeof(quern_section) == 24 && sizeof(quern_trailer) == 128,
              "the file layout is fixed");
static_assert(offsetof(quern_trailer, xxh64) == 120, "hashed prefix");
static_assert(sizeof(quern_linked_image) == 64, "written by field");
#endif

#endif /* QUERN_MODULE_ABI_H */
