//! SDP, RTP and G.711 playout, without IO.
