//! From symbols, as compilers wrote them, to functions, as they are compared across builds.
//!
//! The symbols are those of real programs: gcc and g++ 12.2 with `-O2` and `-O3`, rustc 1.95 with
//! `-O` and either way of mangling, Go 1.19 and 1.24.

use stoker_dag::{Function, Location, Module, Origin};
use stoker_symbols::demangled;

/// A symbol, the function that it stands for, and its package (empty for the binary's own).
const CASES: [(&str, &str, &str); 33] = [
    // C: clones, parts, cold halves.
    ("take.constprop.0.isra.0", "take", ""),
    ("konst.constprop.0", "konst", ""),
    ("part.part.0.cold", "part", ""),
    ("main.cold", "main", ""),
    // C++: clones, lambdas, anonymous namespaces, operators, templates.
    ("_ZL6helperiii.constprop.0", "helper(int, int, int)", ""),
    (
        "_ZNK3app12_GLOBAL__N_16Hidden3getEi.constprop.0.isra.0",
        "app::(anonymous namespace)::Hidden::get(int) const",
        "",
    ),
    ("_ZN3app7DerivedD2Ev", "app::Derived::~Derived()", ""),
    ("_ZN3app7DerivedD0Ev", "app::Derived::~Derived()", ""),
    ("_ZNK3app7DerivedixEi", "app::Derived::operator[](int) const", ""),
    ("_ZNK3app7DerivedcvbEv", "app::Derived::operator bool() const", ""),
    ("_ZNK3app7DerivedclEi", "app::Derived::operator()(int) const", ""),
    ("_ZNK3app7DerivedltERKS0_", "app::Derived::operator<(app::Derived const&) const", ""),
    (
        "_ZN3app5applyIZ4mainEUliE_EEiT_i",
        "int app::apply<main::{lambda(int)#1}>(main::{lambda(int)#1}, int)",
        "",
    ),
    (
        "_ZNSt17_Function_handlerIFiiEZ4mainEUliE0_E9_M_invokeERKSt9_Any_dataOi",
        "std::_Function_handler<int (int), main::{lambda(int)#2}>::_M_invoke(std::_Any_data const&, \
         int&&)",
        "",
    ),
    // Rust, the legacy mangling: a hash behind each path, type parameters by name.
    ("_ZN1r5apply17h3e3a8ec228b5accfE", "r::apply", "r"),
    ("_ZN1r5inner17Wrap$LT$T$C$_$GT$3sum17ha3a48898a91c02a7E", "r::inner::Wrap<T,_>::sum", "r"),
    (
        "_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17ha86af84d9cc65291E.llvm.\
         16294978731374763938",
        "std::rt::lang_start::{closure}",
        "std",
    ),
    (
        "_ZN43_$LT$r..D$u20$as$u20$core..fmt..Display$GT$3fmt17h2cbabe42b7a9863bE",
        "<r::D as core::fmt::Display>::fmt",
        "r",
    ),
    (
        "_ZN9hashbrown3raw21RawTable$LT$T$C$A$GT$14reserve_rehash17h61b9a51b80d1a4edE.llvm.\
         6540936635175529926",
        "hashbrown::raw::RawTable<T,A>::reserve_rehash",
        "hashbrown",
    ),
    // Rust, v0: a disambiguator within each path, type arguments in full.
    ("_RNvCs6GmmlP4bgsG_1r4call", "r::call", "r"),
    ("_RINvCs6GmmlP4bgsG_1r5applyNCNvB2_4mains_0EB2_", "r::apply::<r::main::{closure}>", "r"),
    (
        "_RNvMs_NtCs6GmmlP4bgsG_1r5innerINtB4_4WrapdKj2_E3sumB6_",
        "<r::inner::Wrap<f64, 2>>::sum",
        "r",
    ),
    (
        "_RNvXCs6GmmlP4bgsG_1rNtB2_1DNtNtCsgEmfK2I1SDS_4core3fmt7Display3fmt",
        "<r::D as core::fmt::Display>::fmt",
        "r",
    ),
    (
        "_RNvXs1g_NtCsgEmfK2I1SDS_4core3fmtRShNtB6_5Debug3fmtCs6GmmlP4bgsG_1r",
        "<&[u8] as core::fmt::Debug>::fmt",
        "core",
    ),
    (
        "_RNvMs4_NtCslNYArtu3iFV_5alloc7raw_vecNtB5_11RawVecInner11finish_growCs6GmmlP4bgsG_1r.llvm.\
         4039950290097168584",
        "<alloc::raw_vec::RawVecInner>::finish_grow",
        "alloc",
    ),
    (
        "_RNCINvNtCsjrHSEGnQ3l9_3std2rt10lang_startuE0Cs6GmmlP4bgsG_1r.llvm.9621473367852797299",
        "std::rt::lang_start::<()>::{closure}",
        "std",
    ),
    // Go: shapes in symbols, dots in the function table, closures, calling conventions.
    ("main.sum[go.shape.int_0]", "main.sum[...]", ""),
    ("main.sum[...]", "main.sum[...]", ""),
    ("main.main.func1", "main.main.func1", ""),
    ("runtime.memmove.abi0", "runtime.memmove", "runtime"),
    ("net.result[go.shape.int].String", "net.result[...].String", "net"),
    ("type:.eq.net.result[int].1", "type:.eq.net.result[...].1", ""),
    ("encoding/json.(*Decoder).Decode", "encoding/json.(*Decoder).Decode", "encoding/json"),
];

#[test]
fn symbols_of_real_compilers_become_functions() {
    let module = Module { main_executable: false, name: "libx.so".into() };
    for (symbol, name, package) in CASES {
        let function = demangled(symbol);
        let location = Location { function: function.as_ref().into(), file: "".into(), line: 0 };
        let found = Function::of(&location, &module);
        let origin = match package {
            "" => Origin::Library("libx.so".into()),
            package => Origin::Package(package.into()),
        };
        assert_eq!((&*found.name, found.origin), (name, origin), "{symbol}");
    }
}
