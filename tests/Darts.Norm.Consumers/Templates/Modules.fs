open System
open System.Collections.Generic
open Darts.Norm
open TorchSharp

let require holds what =
    if not holds then invalidOp $"It must hold that {what}."

[<EntryPoint>]
let main _ =
    use _ = torch.NewDisposeScope()
    let net = torch.nn.Sequential(new RMSNorm(4L), torch.nn.Linear(4L, 2L), new LayerNorm(2L))
    let seen = List<string>()
    let view = net.pytorch()
    let pre = view.register_forward_pre_hook (Action<torch.nn.Module, obj array>(fun _ _ -> seen.Add "pre"))
    let nothing = view.register_forward_pre_hook (ForwardPreHook(fun _ _ -> null), prepend = true)
    let twice = view.register_forward_hook (ForwardHook(fun _ _ output -> (let t = output :?> torch.Tensor in t.add t) :> obj))
    let watch = net.register_full_backward_hook (Action<torch.nn.Module, torch.Tensor array, torch.Tensor array>(fun _ gradInput _ -> seen.Add $"backward {gradInput.Length}"))
    let replace = net.register_full_backward_hook (BackwardHook(fun _ gradInput _ -> [| gradInput[0].add gradInput[0] |]))
    let x = torch.randn([| 3L; 4L |], requires_grad = true)
    net.call(x).sum().backward ()
    for handle in [ pre; nothing; twice; watch; replace ] do handle.remove ()
    require (Seq.toList seen = [ "pre"; "backward 1" ]) "hooks run"
    net.requires_grad_(false).set_submodule ("0", new RINorm(4L))
    require (net.get_submodule "0" :? RINorm) "a module is replaced"
    require (Seq.head (view.state_dict(prefix = "net.").Keys) = "net.0.affine_weight") "the state has a prefix"
    let state = StateDict()
    state["2.bias"] <- torch.ones(2L)
    let keys = view.load_state_dict (state, strict = false)
    require (keys.missing_keys.Count = 5 && keys.unexpected_keys.Count = 0) "keys are named"
    for struct (name, m) in view.named_modules () do
        (m.register_state_dict_pre_hook (fun _ _ _ -> seen.Add name)).remove ()
    require (view.text().StartsWith "Sequential(\n  (0): RINorm()\n  (1): Linear(") $"the text is PyTorch's, but is {view.text()}"
    view.double () |> ignore
    require (Object.ReferenceEquals(view.eval (), net)) "casts answer the module"
    printfn "trained, saved and loaded"
    0
