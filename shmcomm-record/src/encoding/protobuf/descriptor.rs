//! Descriptors: the types of one message as a `FileDescriptorSet`.
//!
//! Owns the names and numbers. `write` and `read` use the same numbers. Calls `names` and `shape`.

use super::super::{Form, shape};
use super::{Item, Occurs, Scalar, byte_list, is_bytes, is_nested, occurs, scalar, scalar_of};
use crate::names;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, OneofDescriptorProto,
};
use shmcomm::message::{Prim, Std};
use shmcomm::schema::{Layout, LayoutCase, LayoutField, LayoutKind};

const PACKAGE: &str = "shmcomm";

#[derive(Default)]
struct Writer {
    messages: Vec<DescriptorProto>,
    enums: Vec<EnumDescriptorProto>,
    times: bool,
    durations: bool,
}

/// Type of a field, and the full name of a message or enum.
type FieldType = (Type, Option<String>);

/// Returns the full name of the message of a channel, and the encoded descriptors.
pub(in crate::encoding) fn schema(channel: &str, form: &Form) -> (String, Vec<u8>) {
    let mut out = Writer::default();
    let mut root = DescriptorProto::default();
    let base = match form {
        Form::Fixed(layout) => match (layout.kind(), layout.name()) {
            (LayoutKind::Struct { fields, .. }, Some(name)) => {
                root = out.structure(fields);
                names::type_name(name)
            }
            _ => {
                out.field(&mut root, "value", 1, layout);
                names::type_of_channel(channel)
            }
        },
        Form::Tail { header, item } => {
            out.field(&mut root, "header", 1, header);
            out.tail(&mut root, item);
            names::type_of_channel(channel)
        }
        _ => names::type_of_channel(channel),
    };
    let name = out.add(&base, root);
    (name.trim_start_matches('.').to_owned(), out.finish())
}

/// Returns the file of a well-known type with seconds and nanoseconds.
fn well_known(name: &str) -> FileDescriptorProto {
    let number = |name: &str, number: i32, ty: Type| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(ty.into()),
        ..Default::default()
    };
    FileDescriptorProto {
        name: Some(format!("google/protobuf/{}.proto", name.to_lowercase())),
        package: Some("google.protobuf".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some(name.to_owned()),
            field: vec![number("seconds", 1, Type::Int64), number("nanos", 2, Type::Int32)],
            ..Default::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}

fn number(scalar: Scalar) -> Type {
    match scalar {
        Scalar::Fixed(Prim::U32) => Type::Fixed32,
        Scalar::Fixed(Prim::I32) => Type::Sfixed32,
        Scalar::Fixed(Prim::I64) => Type::Sfixed64,
        Scalar::Fixed(Prim::F32) => Type::Float,
        Scalar::Fixed(Prim::F64) => Type::Double,
        Scalar::Fixed(_) => Type::Fixed64,
        Scalar::Varint(_) => Type::Uint32,
        Scalar::Zigzag(_) => Type::Sint32,
        Scalar::Enum(_) => Type::Enum,
        Scalar::Bool => Type::Bool,
    }
}

impl Writer {
    fn finish(self) -> Vec<u8> {
        let mut file = Vec::new();
        let known = [(self.times, "Timestamp"), (self.durations, "Duration")];
        file.extend(known.into_iter().filter(|(used, _)| *used).map(|(_, name)| well_known(name)));
        let dependency = file.iter().filter_map(|file| file.name.clone()).collect();
        file.push(FileDescriptorProto {
            name: Some("shmcomm.proto".to_owned()),
            package: Some(PACKAGE.to_owned()),
            dependency,
            message_type: self.messages,
            enum_type: self.enums,
            syntax: Some("proto3".to_owned()),
            ..Default::default()
        });
        FileDescriptorSet { file }.encode_to_vec()
    }

    fn taken(&self, name: &str) -> bool {
        self.messages.iter().filter_map(|message| message.name.as_deref()).any(|known| known == name)
            || self.enums.iter().filter_map(|known| known.name.as_deref()).any(|known| known == name)
    }

    /// Adds a message, and returns its full name. Equal messages of one name are one.
    fn add(&mut self, base: &str, mut message: DescriptorProto) -> String {
        for known in &self.messages {
            let name = known.name.as_deref().unwrap_or("");
            message.name = known.name.clone();
            if name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_') == base.trim_end_matches('_')
                && *known == message
            {
                return format!(".{PACKAGE}.{name}");
            }
        }
        let name = names::unique(base.to_owned(), |name| self.taken(name));
        message.name = Some(name.clone());
        self.messages.push(message);
        format!(".{PACKAGE}.{name}")
    }

    fn structure(&mut self, fields: &[LayoutField]) -> DescriptorProto {
        let mut message = DescriptorProto::default();
        let all = names::all_unique(fields.iter().map(|field| field.name.as_str()));
        for (index, (field, name)) in fields.iter().zip(all).enumerate() {
            if !shape::is_void(&field.layout) {
                self.field(&mut message, &name, index as i32 + 1, &field.layout);
            }
        }
        message
    }

    fn tail(&mut self, message: &mut DescriptorProto, item: &Layout) {
        let (ty, label) = match super::is_byte(item) {
            true => ((Type::Bytes, None), Label::Optional),
            false => (self.element(item), Label::Repeated),
        };
        push(message, "tail", 2, ty, label);
    }

    fn field(&mut self, message: &mut DescriptorProto, name: &str, no: i32, layout: &Layout) {
        match occurs(layout) {
            Occurs::Many { item, .. } => {
                let ty = self.element(item);
                push(message, name, no, ty, Label::Repeated);
            }
            Occurs::Maybe { item, .. } => {
                let ty = match item {
                    Item::Of(layout) => self.element(layout),
                    Item::Number(prim) => (number(scalar_of(prim)), None),
                };
                let present = ty.0 != Type::Message;
                push(message, name, no, ty, Label::Optional);
                if let (true, Some(field)) = (present, message.field.last_mut()) {
                    // An optional field is alone in a union, as protoc declares it.
                    field.proto3_optional = Some(true);
                    field.oneof_index = Some(message.oneof_decl.len() as i32);
                    let name = Some(format!("_{name}"));
                    message.oneof_decl.push(OneofDescriptorProto { name, ..Default::default() });
                }
            }
            Occurs::Once(layout) => {
                let ty = self.element(layout);
                push(message, name, no, ty, Label::Optional);
            }
        }
    }

    /// Returns the type of one value.
    fn element(&mut self, layout: &Layout) -> FieldType {
        if is_bytes(layout) || byte_list(layout).is_some() {
            return (Type::Bytes, None);
        }
        if is_nested(layout) {
            let mut helper = DescriptorProto::default();
            if !shape::is_void(layout) {
                self.field(&mut helper, "value", 1, layout);
            }
            return (Type::Message, Some(self.add("Item", helper)));
        }
        match (layout.kind(), scalar(layout)) {
            (LayoutKind::Enum { name, variants, .. }, Some(Scalar::Enum(_))) => {
                let all = variants.iter().map(|variant| (variant.name.as_str(), variant.value));
                (Type::Enum, Some(self.enumeration(name, all.collect())))
            }
            (_, Some(scalar)) => (number(scalar), None),
            (LayoutKind::Timestamp, _) => {
                self.times = true;
                (Type::Message, Some(".google.protobuf.Timestamp".to_owned()))
            }
            (LayoutKind::Std(Std::Duration), _) => {
                self.durations = true;
                (Type::Message, Some(".google.protobuf.Duration".to_owned()))
            }
            (LayoutKind::Struct { name, fields }, _) => {
                let message = self.structure(fields);
                (Type::Message, Some(self.add(&names::type_name(name), message)))
            }
            (LayoutKind::Choice { name, prim, variants }, _) => {
                let message = self.choice(name, *prim, variants);
                (Type::Message, Some(self.add(&names::type_name(name), message)))
            }
            (LayoutKind::Char | LayoutKind::Str { .. }, _) => (Type::String, None),
            _ => (Type::Bytes, None),
        }
    }

    fn choice(&mut self, name: &str, prim: Prim, variants: &[LayoutCase]) -> DescriptorProto {
        let mut message = DescriptorProto::default();
        let base = names::type_name(name);
        let kind = if super::is_enum(variants.iter().map(|variant| variant.value)) {
            let all = variants.iter().map(|variant| (variant.name.as_str(), variant.value));
            (Type::Enum, Some(self.enumeration(&format!("{base}Kind"), all.collect())))
        } else {
            (number(scalar_of(prim)), None)
        };
        push(&mut message, "kind", 1, kind, Label::Optional);
        let fields = names::all_unique(
            std::iter::once("kind").chain(variants.iter().map(|variant| variant.name.as_str())),
        );
        for (index, (variant, field)) in variants.iter().zip(fields.iter().skip(1)).enumerate() {
            if shape::visible(variant.fields()).next().is_some() {
                let content = self.structure(variant.fields());
                let full = format!("{base}{}", names::type_name(&variant.name));
                let ty = (Type::Message, Some(self.add(&full, content)));
                push(&mut message, field, index as i32 + 2, ty, Label::Optional);
            }
        }
        message
    }

    /// Adds an enum, and returns its full name. The names of its values are unique in the package.
    fn enumeration(&mut self, name: &str, mut variants: Vec<(&str, i128)>) -> String {
        let base = names::type_name(name);
        // The first value of an enum is 0.
        variants.sort_by_key(|(_, value)| *value != 0);
        let mut value = Vec::<EnumValueDescriptorProto>::new();
        let unset = variants.first().is_none_or(|(_, value)| *value != 0).then_some(("unset", 0));
        for (variant, number) in unset.into_iter().chain(variants) {
            let name = format!("{}_{}", names::snake_case(&base), names::field_name(variant)).to_uppercase();
            let taken = |name: &str| value.iter().any(|known| known.name.as_deref() == Some(name));
            let name = Some(names::unique(name, taken));
            value.push(EnumValueDescriptorProto { name, number: Some(number as i32), ..Default::default() });
        }
        let same = |known: &&EnumDescriptorProto| known.value == value;
        if let Some(name) = self.enums.iter().find(same).and_then(|known| known.name.clone()) {
            return format!(".{PACKAGE}.{name}");
        }
        let name = names::unique(base, |name| self.taken(name));
        let used = |wanted: &str| {
            let all = self.enums.iter().flat_map(|known| &known.value);
            all.filter_map(|value| value.name.as_deref()).any(|known| known == wanted)
        };
        for value in &mut value {
            let base = value.name.take().unwrap_or_default();
            value.name = Some(names::unique(base, used));
        }
        self.enums.push(EnumDescriptorProto { name: Some(name.clone()), value, ..Default::default() });
        format!(".{PACKAGE}.{name}")
    }
}

fn push(message: &mut DescriptorProto, name: &str, number: i32, ty: FieldType, label: Label) {
    message.field.push(FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(ty.0.into()),
        type_name: ty.1,
        ..Default::default()
    });
}
