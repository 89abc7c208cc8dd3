open System
open System.IO
open Darts.Norm
open TorchSharp

type Network() as this =
    inherit torch.nn.Module<torch.Tensor, torch.Tensor>("Network")
    let rin = new RINorm(3L)
    let first = torch.nn.Linear(24L, 16L)
    let layerNorm = new LayerNorm(16L)
    let rms = new RMSNorm(16L)
    let noBias = new LayerNormNoBias(16L)
    let second = torch.nn.Linear(16L, 4L)
    do this.RegisterComponents()

    override _.forward x =
        use _ = torch.NewDisposeScope()
        let hidden = first.call(rin.call(x).transpose(1L, 2L))
        let hidden = noBias.call(rms.call(layerNorm.call hidden).relu())
        let future = second.call(hidden).transpose(1L, 2L)
        rin.inverse(future.unsqueeze -1L).squeeze(-1L).MoveToOuterDisposeScope()

let require holds what =
    if not holds then invalidOp $"It must hold that {what}."

[<EntryPoint>]
let main _ =
    torch.random.manual_seed 1L |> ignore
    use network = new Network()
    use optimizer = torch.optim.Adam(network.parameters(), 0.01)
    use past = torch.randn([| 16L; 24L; 3L |]).cumsum 1L
    use future = past.narrow(1L, 23L, 1L).expand([| 16L; 4L; 3L |]).contiguous()

    let step () =
        use _ = torch.NewDisposeScope()
        optimizer.zero_grad ()
        let loss = torch.nn.functional.mse_loss(network.forward past, future)
        loss.backward ()
        optimizer.step () |> ignore
        loss.item<float32> ()

    let start = step ()
    let finish = List.last [ for _ in 1..20 -> step () ]
    require (finish < start / 2f) $"the loss falls to less than half, but went from {start} to {finish}"

    let file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.dat")
    network.save file |> ignore
    use copy = new Network()
    copy.load file |> ignore
    File.Delete file
    use forecast = network.forward past
    use again = copy.forward past
    require (forecast.Equals again) "the copy forecasts the same"
    printfn "trained, saved and loaded"
    0
