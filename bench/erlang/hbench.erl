%% SPDX-License-Identifier: Apache-2.0
%% The same workloads as link.c on Erlang/OTP, for the same run.
%%   server: erl ... -s hbench server
%%   client: erl ... -s hbench client SERVER rpc|cast|connect SIZE SECONDS|COUNT
%% and those of local.c, in the client alone:
%%           ... -s hbench client SERVER pingpong|ring|fanin|call|idle N SECONDS
-module(hbench).
-export([server/0, client/1]).

server() ->
    register(server, spawn(fun() -> server_loop(0) end)),
    io:format("up~n").

server_loop(N) ->
    receive
        {data, _} -> server_loop(N + 1);
        {count, From} -> From ! {count, N}, server_loop(N);
        reset -> server_loop(0);
        {'$gen_call', From, {echo, X}} -> gen_server:reply(From, X), server_loop(N);
        stop -> halt(0)
    end.

client([Server, What, Size, Arg]) ->
    run(What, Server, integer(Size), integer(Arg)),
    halt(0).

integer(A) -> list_to_integer(atom_to_list(A)).

now_us() -> erlang:monotonic_time(microsecond).

run(rpc, Server, Size, Seconds) ->
    true = net_kernel:connect_node(Server),
    X = binary:copy(<<0>>, Size),
    Start = now_us() + 200000,
    End = Start + Seconds * 1000000,
    Samples = rpc_loop({server, Server}, X, Start, End, []),
    Sorted = lists:sort(Samples),
    N = length(Sorted),
    io:format("p50_us=~.2f p99_us=~.2f calls_s=~w~n",
              [lists:nth(N div 2 + 1, Sorted) / 1000,
               lists:nth(N * 99 div 100 + 1, Sorted) / 1000, N div Seconds]);
run(cast, Server, Size, Seconds) ->
    true = net_kernel:connect_node(Server),
    X = binary:copy(<<0>>, Size),
    To = {server, Server},
    To ! reset,
    Start = now_us(),
    Sent = cast_loop(To, {data, X}, Start + Seconds * 1000000, 0),
    To ! {count, self()},
    receive {count, Sent} -> ok after 60000 -> halt(1) end,
    Took = now_us() - Start,
    io:format("msgs_s=~w mb_s=~w~n",
              [Sent * 1000000 div Took, Sent * Size div Took]);
run(connect, Server, _, Count) ->
    Samples = [connect_once(Server) || _ <- lists:seq(1, Count)],
    Sorted = lists:sort(Samples),
    io:format("p50_us=~.2f~n", [lists:nth(Count div 2 + 1, Sorted) / 1000]);
run(pingpong, _, _, Seconds) ->
    io:format("round_ns=~.1f~n", [2 * ring(2, 1, Seconds)]);
run(ring, _, Tokens, Seconds) ->
    io:format("hop_ns=~.1f~n", [ring(1000, Tokens, Seconds)]);
run(fanin, _, Senders, Seconds) ->
    Sink = spawn(fun() -> server_loop(0) end),
    Start = now_us(),
    End = Start + Seconds * 1000000,
    X = binary:copy(<<0>>, 64),
    Self = self(),
    [spawn(fun() -> Self ! {sent, cast_loop(Sink, {data, X}, End, 0)} end)
     || _ <- lists:seq(1, Senders)],
    Sent = lists:sum([receive {sent, N} -> N end || _ <- lists:seq(1, Senders)]),
    Sink ! {count, self()},
    receive {count, Sent} -> ok after 120000 -> halt(1) end,
    io:format("msgs_s=~w~n", [Sent * 1000000 div (now_us() - Start)]);
run(call, _, _, Seconds) ->
    register(local, spawn(fun() -> server_loop(0) end)),
    Start = now_us(),
    Samples = rpc_loop(local, binary:copy(<<0>>, 64), Start,
                       Start + Seconds * 1000000, []),
    N = length(Samples),
    io:format("p50_us=~.3f calls_s=~w~n",
              [lists:nth(N div 2 + 1, lists:sort(Samples)) / 1000, N div Seconds]);
run(idle, _, Count, _) ->
    Before = erlang:memory(processes),
    Start = now_us(),
    [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Count)],
    Took = now_us() - Start,
    io:format("start_s=~.3f bytes_actor=~w~n",
              [Took / 1000000, (erlang:memory(processes) - Before) div Count]).

%% Nanoseconds a hop; each token carries 64 bytes and its number.
ring(Size, Tokens, Seconds) ->
    Self = self(),
    End = now_us() + Seconds * 1000000,
    First = spawn(fun() -> receive {next, P} -> ring_first(P, Self, End, 1) end end),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> ring_loop(Next) end) end,
                       First, lists:seq(2, Size)),
    First ! {next, Last},
    X = binary:copy(<<0>>, 64),
    Start = erlang:monotonic_time(nanosecond),
    [First ! {token, 0, X} || _ <- lists:seq(1, Tokens)],
    Hops = lists:sum([receive {hops, N} -> N end || _ <- lists:seq(1, Tokens)]),
    (erlang:monotonic_time(nanosecond) - Start) / Hops.

ring_first(Next, Owner, End, N) ->
    receive {token, Hops, X} ->
        case N rem 16 =:= 0 andalso now_us() >= End of
            true -> Owner ! {hops, Hops}, ring_first(Next, Owner, End, N);
            false -> Next ! {token, Hops + 1, X}, ring_first(Next, Owner, End, N + 1)
        end
    end.

ring_loop(Next) ->
    receive {token, Hops, X} -> Next ! {token, Hops + 1, X}, ring_loop(Next) end.

rpc_loop(To, X, Start, End, Acc) ->
    T0 = erlang:monotonic_time(nanosecond),
    X = gen_server:call(To, {echo, X}),
    T1 = erlang:monotonic_time(nanosecond),
    if T1 div 1000 >= End -> Acc;
       T0 div 1000 >= Start -> rpc_loop(To, X, Start, End, [T1 - T0 | Acc]);
       true -> rpc_loop(To, X, Start, End, Acc)
    end.

cast_loop(To, M, End, N) ->
    cast_some(To, M, 100),
    case now_us() >= End of
        true -> N + 100;
        false -> cast_loop(To, M, End, N + 100)
    end.

cast_some(_, _, 0) -> ok;
cast_some(To, M, K) -> To ! M, cast_some(To, M, K - 1).

connect_once(Server) ->
    T0 = erlang:monotonic_time(nanosecond),
    true = net_kernel:connect_node(Server),
    {server, Server} ! {count, self()},
    receive {count, _} -> ok end,
    T1 = erlang:monotonic_time(nanosecond),
    true = erlang:disconnect_node(Server),
    wait_down(Server),
    T1 - T0.

wait_down(Server) ->
    case lists:member(Server, nodes()) of
        true -> erlang:yield(), wait_down(Server);
        false -> timer:sleep(5)
    end.
