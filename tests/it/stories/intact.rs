//! Nothing is lost or done twice: the operator dies at every step, the CRDs are older, the data set was changed.
