//! Tables for names, ports and expected SPNs (JUDGEMENT 1, 2, 4).
