/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.h - the test vectors of ractor_cluster's protocol, each a whole
 * frame.
 *
 * A is node_a@localhost, localhost:8198, the initiator, connection_id
 * 0x0102030405060708, challenge 0xdeadbeef; B is node_b@localhost,
 * localhost:8199, the acceptor, challenge 42; the cookie is "cookie".
 *
 * Source: ractor-wire, section 13; ids are those used there.
 */
#ifndef TESTS_PROTO_VECTORS_H
#define TESTS_PROTO_VECTORS_H

#define VECTORS(X)                                                             \
    /* A to B: Name with connection_id */                                      \
    X(H1, "00000000000000340a320a300a106e6f64655f61406c6f63616c686f737412"     \
          "0208011a0e6c6f63616c686f73743a3831393820888e98a8c0e0808101")        \
    /* B to A: ServerStatus OK */                                              \
    X(H2, "00000000000000040a021200")                                          \
    /* B to A: Challenge 42 */                                                 \
    X(H3, "000000000000002c0a2a22280a106e6f64655f62406c6f63616c686f737412"     \
          "020801182a220e6c6f63616c686f73743a38313939")                        \
    /* A to B: ChallengeReply, own challenge 0xDEADBEEF, digest(42) */         \
    X(H4, "000000000000002c0a2a2a2808effdb6f50d1220143e00d9d3b31d9d24452f"     \
          "85ac04448953081a02ed02272e592c5b13cd422ef7")                        \
    /* B to A: ChallengeAck, digest(0xDEADBEEF) */                             \
    X(H5, "00000000000000260a2432220a204d3c3607cc254bf04b9a48844dabbd6ecf"     \
          "0e1b8c2df6a78a70fd21376aa5670b")                                    \
    /* Name from a pre-0.16 peer (no id) */                                    \
    X(H1L, "000000000000002a0a280a260a106e6f64655f61406c6f63616c686f737412"    \
           "0208011a0e6c6f63616c686f73743a38313938")                           \
    /* ServerStatus OK_SIMULTANEOUS */                                         \
    X(H2a, "00000000000000060a0412020801")                                     \
    /* ServerStatus NOT_OK */                                                  \
    X(H2b, "00000000000000060a0412020802")                                     \
    /* ServerStatus NOT_ALLOWED */                                             \
    X(H2c, "00000000000000060a0412020803")                                     \
    /* ServerStatus ALIVE */                                                   \
    X(H2d, "00000000000000060a0412020804")                                     \
    /* ClientStatus true */                                                    \
    X(H2e, "00000000000000060a041a020801")                                     \
    /* ClientStatus false */                                                   \
    X(H2f, "00000000000000040a021a00")                                         \
    /* H2 as framed by up to 0.14.5 (inner varint length; incompatible) */     \
    X(HX, "0000000000000005040a021200")                                        \
    /* A to B: EnumerateNodeSessions */                                        \
    X(S0, "000000000000002a1a283a260a106e6f64655f61406c6f63616c686f737412"     \
          "0208011a0e6c6f63616c686f73743a38313938")                            \
    /* B to A: NodeSessions [node_c@localhost, localhost:8200] */              \
    X(S0r, "000000000000002c1a2a42280a260a106e6f64655f63406c6f63616c686f73"    \
           "74120208011a0e6c6f63616c686f73743a38323030")                       \
    /* NodeSessions, empty list */                                             \
    X(S0e, "00000000000000041a024200")                                         \
    /* Spawn [pid 0; pid 5 "echo"; pid 300] */                                 \
    X(S1, "00000000000000151a130a110a000a08080512046563686f0a0308ac02")        \
    /* PgJoin __default_scope__/test [pid 5 "echo"] */                         \
    X(S2, "00000000000000271a252a230a04746573741208080512046563686f1a115f"     \
          "5f64656661756c745f73636f70655f5f")                                  \
    /* Ready */                                                                \
    X(S3, "00000000000000041a024a00")                                          \
    /* PgLeave, same content as S2 */                                          \
    X(S4, "00000000000000271a2532230a04746573741208080512046563686f1a115f"     \
          "5f64656661756c745f73636f70655f5f")                                  \
    /* Terminate [5, 300] */                                                   \
    X(S5, "00000000000000091a0712050a0305ac02")                                \
    /* Terminate [0] */                                                        \
    X(S5z, "00000000000000071a0512030a0100")                                   \
    /* Ping, 1.5 s after session start */                                      \
    X(P1, "000000000000000e1a0c1a0a0a0808011080cab5ee01")                      \
    /* Pong answering P1 */                                                    \
    X(P2, "000000000000000e1a0c220a0a0808011080cab5ee01")                      \
    /* Cast pid 5 Cast1("hello", 42u64) */                                     \
    X(N1, "000000000000002c122a0a280805121d000000000000000568656c6c6f0000"     \
          "000000000008000000000000002a1a054361737431")                        \
    /* Cast pid 5, unit variant A */                                           \
    X(N1u, "000000000000000912070a0508051a0141")                               \
    /* Cast pid 5, message type String, "hi" */                                \
    X(N1b, "000000000000000a12080a06080512026869")                             \
    /* Call pid 5 tag 1 timeout 500 Call1(7u8, -2i64) */                       \
    X(N2, "000000000000002d122b122908051219000000000000000107000000000000"     \
          "0008fffffffffffffffe180120f4032a0543616c6c31")                      \
    /* same, no timeout */                                                     \
    X(N2n, "000000000000002a1228122608051219000000000000000107000000000000"    \
           "0008fffffffffffffffe18012a0543616c6c31")                           \
    /* same, timeout present and 0 */                                          \
    X(N2z, "000000000000002c122a122808051219000000000000000107000000000000"    \
           "0008fffffffffffffffe180120002a0543616c6c31")                       \
    /* CallReply 5/1, String "hello" */                                        \
    X(N3s, "000000000000000f120d1a0b080510011a0568656c6c6f")                   \
    /* CallReply 5/1, Vec<u32> [1,2] */                                        \
    X(N3v, "000000000000001212101a0e080510011a080000000100000002")             \
    /* CallReply 5/1, bool true */                                             \
    X(N3b, "000000000000000b12091a07080510011a0101")                           \
    /* CallReply 5/1, () */                                                    \
    X(N3e, "000000000000000812061a0408051001")                                 \
    /* CallReply 5/1, ["a","bc"] in Pot (unverified) */                        \
    X(N3p, "000000000000001412121a10080510011a0a506f740082e161e26263")         \
    /* CallReply 5/1, ["a","bc"] in a wrapper type using BE64 prefixes */      \
    X(N3w, "000000000000001d121b1a19080510011a1300000000000000016100000000"    \
           "000000026263")                                                     \
    /* Cast pid 5 Draw(prost Point{150,"hi"}) */                               \
    X(N4, "000000000000001e121c0a1a08051210000000000000000807089601120268"     \
          "691a0444726177")                                                    \
    /* Cast factory pid 5 Work("job"), key 123u64, ttl 1 s */                  \
    X(N5, "000000000000003312310a2f0805120b00000000000000036a6f621a04576f"     \
          "726b321817979cfe362a0000000000003b9aca00000000000000007b")          \
    /* ignored */                                                              \
    X(E1, "0000000000000000")                                                  \
    /* session closed (bad protobuf) */                                        \
    X(E2, "0000000000000001ff")                                                \
    /* session closed without waiting for payload */                           \
    X(E3, "0000000001000001")                                                  \
    /* ignored */                                                              \
    X(E4, "00000000000000022200")                                              \
    /* ignored (warning if not yet authenticated) */                           \
    X(E5, "00000000000000041a025200")                                          \
    /* fatal before OK, ignored after */                                       \
    X(E6, "00000000000000020a00")                                              \
    /* session closed */                                                       \
    X(E7, "000000000000000712050a031a01ff")

#endif /* TESTS_PROTO_VECTORS_H */
