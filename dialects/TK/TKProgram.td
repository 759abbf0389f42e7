//===- TKProgram.td - Buffers, constants and launches ---------------------===//
//
// What one inference does: which kernels run over which buffers, in order.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_DIALECTS_TK_TKPROGRAM
#define QUERN_DIALECTS_TK_TKPROGRAM

include "dialects/TK/TKBase.td"

def TK_BufferOp : TK_Op<"buffer", [Symbol]> {
  let summary = "memory whose size grows with the batch";
  let description = [{
    `bytes` for each unit: a token (`tokens`), a sequence (`sequences`), or a
    pair of tokens of one sequence (`pairs`, only for taps). Buffers of kind
    `input` and `output` belong to the caller; `unit` says what they grow with.
    A `tokens` buffer has 16 rows and 64 bytes of slack at its end, since
    kernels round rows up and read whole vectors.

    ```mlir
    tk.buffer @x kind(tokens) bytes(768) : i8
    tk.buffer @ids kind(input) unit(tokens) bytes(4) : i32
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TK_BufferKindAttr:$kind,
                       OptionalAttr<TK_BaseAttr>:$unit,
                       ConfinedAttr<I64Attr, [IntPositive]>:$bytes,
                       TypeAttr:$element);
  let assemblyFormat = [{
    $sym_name `kind` `(` $kind `)` (`unit` `(` $unit^ `)`)?
    `bytes` `(` $bytes `)` `:` $element attr-dict
  }];
  let hasVerifier = 1;
}

def TK_DataOp : TK_Op<"data", [Symbol]> {
  let summary = "a constant, 64-byte aligned in the module";
  let description = [{
    The elements in row-major order; weights already have the layout that the
    kernel reads.

    ```mlir
    tk.data @w = dense<[1, 2, 3]> : tensor<3xi8>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ElementsAttr:$value);
  let assemblyFormat = "$sym_name `=` $value attr-dict";
  let hasVerifier = 1;
}

def TK_ProgramOp : TK_Op<"program", [
    Symbol, NoTerminator, SingleBlock, NoRegionArguments]> {
  let summary = "the launches of one inference, in order";
  let description = [{
    Launches run one after the other; the chunks of one launch run in any order
    and on any number of threads.

    ```mlir
    tk.program @forward {
      tk.launch @linear [@x, @w, @y]
        chunks(base = tokens, divide = 128, multiply = 16)
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name)>];
  let hasVerifier = 1;
}

def TK_LaunchOp : TK_Op<"launch", [
    HasParent<"ProgramOp">,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel over all its chunks";
  let description = [{
    The kernel's buffers are `buffers` in order, each a `tk.buffer` or
    `tk.data`. It has `ceil(base / divide) * multiply` chunks, base being the
    number of tokens, of sequences, or one. Discardable attributes say what the
    launch is for tools (`op`, `sites`, `gemm`).

    ```mlir
    tk.launch @linear [@x, @w, @y]
      chunks(base = tokens, divide = 128, multiply = 16) {op = "linear"}
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
                       FlatSymbolRefArrayAttr:$buffers, TK_BaseAttr:$base,
                       ConfinedAttr<I64Attr, [IntPositive]>:$divide,
                       ConfinedAttr<I64Attr, [IntPositive]>:$multiply);
  let assemblyFormat = [{
    $kernel $buffers `chunks` `(` `base` `=` $base `,` `divide` `=` $divide `,`
    `multiply` `=` $multiply `)` attr-dict
  }];
}

#endif // QUERN_DIALECTS_TK_TKPROGRAM
